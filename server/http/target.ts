/** The target of a request, judged as it came: a proxy in front has judged the same text. */
import type { ServerRequest } from "srvx";
import { Problem } from "./problems.ts";

/** Segments that a URL parser resolves: `/./`, `/../`, also where the dots or slashes are disguised. */
const DOT_SEGMENT = /[/\\](?:\.|%2e){1,2}(?:[/\\]|$)/i;

/** A host and at most a port. A comma joins two fields of one name. */
const HOST = /^[^\s,/?#@\\]*$/;

/**
 * The path that a request asks for. On Node it is the text that was sent; elsewhere it is that of the
 * URL, which Bun has normalized: see `listen`.
 */
export function pathOf(request: ServerRequest): string {
  // Node's own text, where there is one: srvx makes a URL of it, only to be taken apart again.
  const url = request.runtime?.node?.req.url ?? request.url;
  // Without a Host header, some runtimes give only the path.
  const start = url.startsWith("/") ? 0 : url.indexOf("/", url.indexOf("://") + 3);
  if (start === -1) return "/";
  const end = url.slice(start).search(/[?#]/);
  return end === -1 ? url.slice(start) : url.slice(start, start + end);
}

/** Throws a problem for a request to a path with dot segments, or with more than one Host. */
export function checkTarget(request: ServerRequest, path: string): void {
  if (DOT_SEGMENT.test(path)) throw new TargetNotPlain();
  // RFC 9112, section 3.2: two fields may be meant for two servers. Runtimes join them.
  if (!HOST.test(request.headers.get("host") ?? "")) {
    throw new Problem("invalid-request", "Send one Host header, with a host and at most a port.");
  }
}

/** Refused: the path has dot segments. */
export class TargetNotPlain extends Problem {
  constructor() {
    super("invalid-request", "The path has dot segments, or is disguised. Send it as it is.");
  }
}
