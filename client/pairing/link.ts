/** The link that the device with the key shows, usually as a QR code. ENVELOPE.md has its layout. */
import { fromBase64url, toBase64url } from "../../protocol/base64.ts";
import { type Bytes, concat } from "../../protocol/bytes.ts";
import { PairingFailed } from "./errors.ts";

const PARAMETER = "pair=";
const VERSION = 1;

/** The length of the one-time key, which lives for minutes. */
export const ONE_TIME_BITS = 2048;
/** The length of the commitment in a link. */
export const COMMITMENT_BYTES = 16;
const PRIMES_BYTES = ONE_TIME_BITS / 8;

/** What a link contains after the address of the server. */
export interface LinkContent {
  /** The commitment of the device that shows the link, to its point. */
  readonly commitment: Bytes;
  /** Of the one-time key. */
  readonly primes: Bytes;
}

/** @param server its address, which the link opens; `#` and what follows it are not sent to any server */
export function linkOf(server: URL, { commitment, primes }: LinkContent): string {
  const link = new URL(server);
  link.hash = PARAMETER + toBase64url(concat(Uint8Array.of(VERSION), commitment, primes));
  return link.href;
}

/** Whether an address is a link for pairing. */
export function isLink(address: string): boolean {
  return address.includes(`#${PARAMETER}`);
}

/** The address of the server in a link, and the rest. Throws `PairingFailed`. */
export function contentOfLink(link: string): LinkContent & { readonly server: URL } {
  const server = URL.canParse(link.trim()) ? new URL(link.trim()) : undefined;
  const [, text = ""] = server?.hash.split(`#${PARAMETER}`) ?? [];
  const bytes = fromBase64url(text);
  const length = 1 + COMMITMENT_BYTES + PRIMES_BYTES;
  if (server === undefined || bytes?.length !== length || bytes[0] !== VERSION) {
    throw new PairingFailed("link");
  }
  server.hash = "";
  const commitment = bytes.slice(1, 1 + COMMITMENT_BYTES);
  return { server, commitment, primes: bytes.slice(1 + COMMITMENT_BYTES) };
}
