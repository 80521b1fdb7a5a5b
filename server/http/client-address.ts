import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import type { ServerRequest } from "srvx";
import { lruOf } from "../../storage/lru.ts";

/** The address of requests without a connection: those that a test makes. */
const UNKNOWN = "unknown";

/** How `TRUSTED_PROXIES` names the proxy at the other end of a Unix socket, which has no address. */
const SOCKET = "unix";

/** Addresses remembered: parsing one costs as much as a poll. */
const REMEMBERED = 10_000;

/** An address and a port, as proxies write them: `192.0.2.1:80`, `[2001:db8::1]:80`. */
const withPort = /^(?:\[(.*)\]|([\d.]+))(?::\w+)?$/;

type Network = [ipaddr.IPv4 | ipaddr.IPv6, number];

/** A parsed address. */
interface Address {
  /** Canonical: IPv4 also where it was mapped into IPv6, without a zone. */
  readonly text: string;
  /** What requests from it count under. IPv6 counts by /64, which is what one customer gets. */
  readonly group: string;
  /** True for a proxy whose header fields are believed. */
  readonly trusted: boolean;
}

/** Finds the network address that a request is counted under. */
export class ClientAddresses {
  readonly #proxies: readonly Network[];
  readonly #behindSocket: Address | undefined;
  readonly #known = lruOf<string, Address>(REMEMBERED);

  /**
   * @param proxies addresses and networks (CIDR) of proxies whose header fields are believed; `unix`
   *   for one that connects to a Unix socket
   */
  constructor(proxies: readonly string[]) {
    this.#proxies = proxies.filter((proxy) => proxy !== SOCKET).map(networkOf);
    if (proxies.includes(SOCKET)) {
      this.#behindSocket = { text: SOCKET, group: UNKNOWN, trusted: true };
    }
  }

  /**
   * The address of the connection; or, where that is a trusted proxy's, the last address on the way
   * that is not.
   */
  of({ ip, headers }: Pick<ServerRequest, "ip" | "headers">): string {
    const peer = (ip === undefined ? undefined : this.#addressOf(ip)) ?? this.#behindSocket;
    if (peer === undefined) return UNKNOWN;
    return peer.trusted ? this.#behind(peer, headers).group : peer.group;
  }

  /** Whether the header fields of the connection's other end are believed. */
  isTrusted({ ip }: Pick<ServerRequest, "ip">): boolean {
    const peer = (ip === undefined ? undefined : this.#addressOf(ip)) ?? this.#behindSocket;
    return peer?.trusted === true;
  }

  #behind(proxy: Address, headers: Headers): Address {
    const forwarded = headers.get("forwarded");
    const forwardedFor = headers.get("x-forwarded-for");
    const claims: Address[] = [];
    if (forwarded !== null) claims.push(this.#client(proxy, forwardedHops(forwarded)));
    if (forwardedFor !== null) claims.push(this.#client(proxy, forwardedFor.split(",")));
    const [one = proxy, other = one] = claims;
    // A proxy writes one of the two, and may pass the other on as the client made it up.
    return one.text === other.text ? one : proxy;
  }

  /** Walks back from the proxy, hop by hop, while the address that named the hop is trusted. */
  #client(proxy: Address, hops: readonly string[]): Address {
    let client = proxy;
    for (let i = hops.length - 1; i >= 0 && client.trusted; i--) {
      const hop = hops[i]?.trim() ?? "";
      const [, inBrackets, bare] = withPort.exec(hop) ?? [];
      const address = this.#addressOf(inBrackets ?? bare ?? hop);
      if (address === undefined) break;
      client = address;
    }
    return client;
  }

  /** Gives `undefined` for a text that is no address: `unknown`, a made-up name or anything else. */
  #addressOf(text: string): Address | undefined {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    // ipaddr.js alone also reads 127.1 and 0x7f000001 as addresses.
    if (isIP(text) === 0) return undefined;
    const ip = ipaddr.process(withoutZone(text));
    const address = {
      text: ip.toString(),
      group: groupOf(ip),
      trusted: this.#proxies.some(([network, bits]) => isWithin(ip, network, bits)),
    };
    // A copy: an engine may keep the whole header field in memory for a part of it.
    this.#known.set(Buffer.from(text).toString(), address);
    return address;
  }
}

/** True for an address, a network in CIDR form, or `unix`. */
export function isProxy(text: string): boolean {
  if (text === SOCKET) return true;
  const [, address = "", bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  return version !== 0 && Number(bits ?? 0) <= (version === 6 ? 128 : 32);
}

function networkOf(text: string): Network {
  const [address = "", length] = text.split("/");
  const ip = ipaddr.parse(withoutZone(address));
  const bits = Number(length ?? ip.toByteArray().length * 8);
  // A network of mapped addresses: requests from it are IPv4 once they are canonical.
  return ip instanceof ipaddr.IPv6 && ip.isIPv4MappedAddress() && bits >= 96
    ? [ip.toIPv4Address(), bits - 96]
    : [ip, bits];
}

function isWithin(ip: Network[0], network: Network[0], bits: number): boolean {
  return ip.kind() === network.kind() && ip.match(network, bits);
}

function groupOf(ip: Network[0]): string {
  if (ip instanceof ipaddr.IPv4) return ip.toString();
  const network = ip.parts.slice(0, 4).map((part) => part.toString(16));
  return `${network.join(":")}::/64`;
}

function withoutZone(address: string): string {
  const [withoutZone = ""] = address.split("%", 1);
  return withoutZone;
}

/** The `for` of each element of a `Forwarded` field (RFC 7239), in order; empty where it has none. */
function forwardedHops(field: string): string[] {
  return elementsOf(field).map((element) => {
    const pair = element.split(";").find((pair) => /^\s*for=/i.test(pair)) ?? "";
    const [, quoted, token] = /^\s*for=(?:"([^"]*)"|(.*))/i.exec(pair) ?? [];
    return quoted ?? token ?? "";
  });
}

/**
 * Splits a field at the commas outside quotes. From its end: the last elements are the proxies', and
 * an open quote that a client has put before them must not swallow them.
 */
function elementsOf(field: string): string[] {
  const elements: string[] = [];
  let end = field.length;
  let quoted = false;
  for (let i = field.length - 1; i >= 0; i--) {
    if (field[i] === '"' && field[i - 1] !== "\\") quoted = !quoted;
    if (field[i] !== "," || quoted) continue;
    elements.push(field.slice(i + 1, end));
    end = i;
  }
  elements.push(field.slice(0, end));
  return elements.reverse();
}
