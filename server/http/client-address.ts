import { BlockList, isIP, isIPv6 } from "node:net";
import type { ServerRequest } from "srvx";

/** The address of requests that come from nowhere: those that a test makes. */
const UNKNOWN = "unknown";

/** An address and a port, as proxies write them: `192.0.2.1:80`, `[2001:db8::1]:80`. */
const withPort = /^(?:\[(.*)\]|([\d.]+))(?::\w+)?$/;

/** Tells which network address a request is counted under. */
export class ClientAddresses {
  readonly #trusted: BlockList | undefined;

  /** @param proxies addresses and networks (CIDR) of proxies whose word is taken */
  constructor(proxies: readonly string[]) {
    this.#trusted = proxies.length === 0 ? undefined : blockListOf(proxies);
  }

  /**
   * The address of the client: of the connection, or, where that is a trusted proxy's, the last one
   * on the way that is none. IPv6 counts by /64, which is what one customer gets.
   */
  of({ ip, headers }: Pick<ServerRequest, "ip" | "headers">): string {
    if (ip === undefined) return UNKNOWN;
    const peer = plain(ip);
    return counted(this.#trusts(peer) ? this.#behind(peer, headers) : peer);
  }

  #behind(proxy: string, headers: Headers): string {
    const forwarded = headers.get("forwarded");
    const forwardedFor = headers.get("x-forwarded-for");
    const told: string[] = [];
    if (forwarded !== null) told.push(this.#client(proxy, forwardedHops(forwarded)));
    if (forwardedFor !== null) told.push(this.#client(proxy, forwardedFor.split(",")));
    const [one = proxy, other = one] = told;
    // A proxy writes one of the two, and may pass on the other as the client made it up.
    return one === other ? one : proxy;
  }

  /** Walks back from the proxy for as long as those who tell are trusted. */
  #client(proxy: string, hops: readonly string[]): string {
    let client = proxy;
    for (let i = hops.length - 1; i >= 0 && this.#trusts(client); i--) {
      const hop = hopAddress(hops[i] ?? "");
      if (hop === undefined) break;
      client = hop;
    }
    return client;
  }

  #trusts(address: string): boolean {
    return this.#trusted?.check(address, isIPv6(address) ? "ipv6" : "ipv4") ?? false;
  }
}

/** True for an address, or a network in CIDR form, that `Addresses` takes for a proxy. */
export function isNetwork(text: string): boolean {
  const [, address = "", bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  return version !== 0 && Number(bits ?? 0) <= (version === 6 ? 128 : 32);
}

function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits] = network.split("/");
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

/** The `for` of each element of a `Forwarded` field (RFC 7239), in order; empty where it has none. */
function forwardedHops(field: string): string[] {
  return field.split(",").map((element) => {
    const [, quoted, token] = /(?:^|;)\s*for=(?:"([^"]*)"|([^;]*))/i.exec(element) ?? [];
    return quoted ?? token ?? "";
  });
}

/** The address of a hop; `undefined` for `unknown`, a made-up name or anything else. */
function hopAddress(hop: string): string | undefined {
  const text = hop.trim();
  const [, inBrackets, bare] = withPort.exec(text) ?? [];
  const address = plain(inBrackets ?? bare ?? text);
  return isIP(address) === 0 ? undefined : address;
}

/** Without a zone, and IPv4 as such where it is mapped into IPv6. */
function plain(address: string): string {
  if (!address.includes(":")) return address;
  const [bare = ""] = address.toLowerCase().split("%");
  return bare.startsWith("::ffff:") && bare.includes(".") ? bare.slice("::ffff:".length) : bare;
}

function counted(address: string): string {
  if (!address.includes(":")) return address;
  const [front = "", back] = address.split("::");
  const groups = front === "" ? [] : front.split(":");
  // Only the first four of the eight groups count, so what follows a gap matters by its length.
  const missing = back === undefined ? 0 : 8 - groups.length - groupsIn(back);
  const all = [...groups, ...Array<string>(missing).fill("0"), ...(back ?? "").split(":")];
  const network = all.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(":")}::/64`;
}

/** How many groups of 16 bits a part of an IPv6 address has; IPv4 at its end has two. */
function groupsIn(part: string): number {
  return part === "" ? 0 : part.split(":").length + (part.includes(".") ? 1 : 0);
}
