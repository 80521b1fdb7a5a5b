/** What a doctor may find, and what to change. */
import { STORAGE_CHANGES } from "../../server/checkup/storage-changes.ts";

/** What to change, and how in each proxy; `caddy` and `traefik` may need no change. */
interface Change {
  readonly what: string;
  readonly nginx?: string;
  readonly caddy?: string;
  readonly traefik?: string;
}

export const CHANGES = {
  tls: {
    what: "Put a proxy with TLS in front: the public key in each request is all that unsigned users have.",
    nginx: "listen 443 ssl; ssl_certificate …; ssl_certificate_key …;",
    caddy: "name the site by its domain, without http://",
    traefik: "entryPoints.websecure, and a certificatesResolver for the router",
  },
  certificate: {
    what: "Renew the certificate: devices will refuse it.",
    nginx: "run certbot renew by a timer, and reload nginx after it",
    caddy: "it renews by itself: see its log for why it could not",
    traefik: "it renews by itself: see its log for why it could not",
  },
  http2: {
    what: "Offer HTTP/2: browsers have six connections to a host otherwise, and each waiting tab holds one.",
    nginx: "http2 on; (before 1.25.1: listen 443 ssl http2;)",
    caddy: "it is on by default: look for a `protocols` option without h2",
    traefik: "it is on by default with TLS",
  },
  answer: {
    what: "No Sync-Server answers at this address. It has to lead to /sync of a server of this version.",
    nginx: "location = /sync { proxy_pass http://127.0.0.1:8080; }",
    caddy: "reverse_proxy 127.0.0.1:8080",
    traefik: "a router with Path(`/sync`), and the server as its service",
  },
  upstream: {
    what: "Speak HTTP/1.1 to the server: with 1.0 a device cannot see that an answer was cut.",
    nginx: 'proxy_http_version 1.1; proxy_set_header Connection "";',
  },
  host: {
    what:
      "Signatures are checked for another address than devices use. Set PUBLIC_URL to this one, or have " +
      "the proxy keep the Host.",
    nginx: "proxy_set_header Host $http_host;",
    caddy: "remove header_up Host",
    traefik: "passHostHeader: true",
  },
  forwarded: {
    what: "The proxy does not say who connects: all users share the limits of one network address.",
    nginx: "proxy_set_header X-Forwarded-For $remote_addr;",
    caddy: "remove header_up -X-Forwarded-For",
    traefik: "it sends X-Forwarded-For by default: look for a middleware that removes it",
  },
  trusted: {
    what:
      "Set TRUSTED_PROXIES to the address that the proxy connects from: its X-Forwarded-For is not " +
      "believed, and all users share the limits of one network address.",
  },
  spoofed: {
    what:
      "The proxy passes on the X-Forwarded-For that a client has made up, and the server believes it: " +
      "nobody has a limit of a network address.",
    nginx: "proxy_set_header X-Forwarded-For $remote_addr;",
    caddy: "remove trusted_proxies, or name only proxies in it",
    traefik: "forwardedHeaders.insecure: false, and only proxies in forwardedHeaders.trustedIPs",
  },
  body: {
    what: "Let bodies of MAX_BODY through, or lower MAX_BODY to what the proxy takes.",
    nginx: "client_max_body_size 16m;",
    caddy: "remove request_body max_size, or raise it",
    traefik: "remove the buffering middleware, or raise maxRequestBodyBytes",
  },
  buffering: {
    what: "Forward answers as they come: what is buffered reaches devices late, and fills the proxy.",
    nginx: "proxy_buffering off;",
    caddy: "remove response_buffers (before 2.7: buffer_responses), and encode",
    traefik: "remove the buffering middleware",
  },
  time: {
    what: "Wait longer for an answer than MAX_WAIT, or lower MAX_WAIT.",
    nginx: "proxy_read_timeout 65s;",
    caddy: "remove response_header_timeout and read_timeout of the transport, or raise them",
    traefik: "serversTransport.forwardingTimeouts.responseHeaderTimeout: 0",
  },
  open: {
    what: "Keep /metrics and /ready from outside: they tell how busy the server is, and cost storage.",
    nginx: "forward location = /sync and location = /health, and nothing else",
    caddy: "@open path /sync /health, and respond 404 for others",
    traefik: "rule: Path(`/sync`) || Path(`/health`)",
  },
  ...STORAGE_CHANGES,
} as const satisfies Readonly<Record<string, Change>>;

export type Topic = keyof typeof CHANGES;

/** What to change, in lines. */
export function changesFor(topic: Topic): string[] {
  const { what, nginx, caddy, traefik }: Change = CHANGES[topic];
  const proxies = [
    ["nginx", nginx],
    ["Caddy", caddy],
    ["Traefik", traefik],
  ].flatMap(([name, change]) => (change === undefined ? [] : [`  ${name}: ${change}`]));
  return [what, ...proxies];
}
