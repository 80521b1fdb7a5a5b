/** The checksums in object names, which show damage. Neither protects against an attacker. */

// Not `crc32` by its name: see `md5Of`.
import * as zlib from "node:zlib";
import { md5Of } from "../storage/driver.ts";

export interface Checksums {
  /** MD5 of the body, in lower-case hex. It also tells bodies apart that have one name otherwise. */
  readonly md5: string;
  /** CRC-32 of the body, in lower-case hex. Only names of segments have one, and not all of these. */
  readonly crc32?: string;
}

/** The checksums in the name of a segment. */
export function segmentChecksums(body: Uint8Array): Required<Checksums> {
  return { md5: md5Of(body), crc32: crc32Of(body) };
}

/**
 * Whether a body is the one that its name promises, as far as a checksum shows. The CRC-32 stands in
 * for the MD5, which takes five to twenty times as long.
 */
export function isIntact(body: Uint8Array, { md5, crc32 }: Checksums): boolean {
  return crc32 === undefined ? md5Of(body) === md5 : crc32Of(body) === crc32;
}

function crc32Of(body: Uint8Array): string {
  return zlib.crc32(body).toString(16).padStart(8, "0");
}
