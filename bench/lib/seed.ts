/** Users, and logs for them that lie in storage before the measuring begins. */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Fingerprint, formatName } from "../../oplog/names.ts";
import { formatLine } from "../../protocol/ndjson.ts";
import { type Driver, md5Of } from "../../storage/driver.ts";
import { fingerprintOf } from "../../sync/public-key.ts";

/** Bytes of a payload, where nothing else is said. */
export const PAYLOAD_BYTES = 512;

/** A segment is closed when it has this many bytes. */
const SEGMENT_BYTES = 2 ** 20;

export interface User {
  /** The public key as base64 of its DER. */
  readonly key: string;
  readonly fingerprint: Fingerprint;
}

/** SPKI of an RSA key of 2048 bits up to its modulus, and its exponent: 65537. */
const SPKI_HEAD = Buffer.from(
  "30820122300d06092a864886f70d01010105000382010f003082010a0282010100",
  "hex",
);
const SPKI_TAIL = Buffer.from("0203010001", "hex");

/**
 * A user by number, the same every time. No private key belongs to it: the server sees only that a
 * public key is well-formed, and 100,000 real ones would take hours.
 */
export function userOf(group: string, number: number): User {
  const parts = [0, 1, 2, 3].map((part) =>
    createHash("sha512").update(`${group} ${number} ${part}`).digest(),
  );
  const modulus = Buffer.concat(parts);
  modulus[0] = (modulus[0] ?? 0) | 0x80;
  modulus[255] = (modulus[255] ?? 0) | 1;
  const key = Buffer.concat([SPKI_HEAD, modulus, SPKI_TAIL]).toString("base64");
  return { key, fingerprint: fingerprintOf(key) };
}

/** A client id by number. */
export function clientOf(number: number): string {
  return `5f0c1a52-7f7e-4d35-a9a5-${number.toString(16).padStart(12, "0")}`;
}

/** The client that has created what is seeded; the clients of the load have other numbers. */
export const SEEDER = clientOf(0);

/** Looks like ciphertext in base64. Its content is of no matter to the server. */
export function payloadOf(index: number, bytes: number): string {
  const text = Buffer.alloc(Math.ceil((bytes * 3) / 4) + 3, `sealed ${index} `).toString("base64");
  return text.slice(0, bytes);
}

export interface StoredBody {
  readonly name: string;
  readonly body: Buffer;
}

/** The operations of a log as objects of one operation each. */
export function* singleObjects(
  { fingerprint: user }: User,
  operations: number,
  payloadBytes = PAYLOAD_BYTES,
): Generator<StoredBody> {
  for (let index = 0; index < operations; index++) {
    const body = Buffer.from(payloadOf(index, payloadBytes));
    const name = { user, client: SEEDER, first: index, last: index, md5: md5Of(body) };
    yield { name: formatName(name), body };
  }
}

/** The operations of a log as compaction leaves them: in segments of about 1 MiB. */
export function* segments(
  { fingerprint: user }: User,
  operations: number,
  payloadBytes = PAYLOAD_BYTES,
): Generator<StoredBody> {
  for (let first = 0; first < operations; ) {
    const lines: string[] = [];
    let index = first;
    for (let bytes = 0; bytes < SEGMENT_BYTES && index < operations; index++) {
      const line = formatLine(SEEDER, index, payloadOf(index, payloadBytes));
      lines.push(line);
      bytes += line.length;
    }
    const body = Buffer.from(lines.join(""));
    const name = { user, client: SEEDER, first, last: index - 1, md5: md5Of(body) };
    yield { name: formatName(name), body };
    first = index;
  }
}

/** Writes objects into a storage folder. Not durably: what is measured begins later. */
export function seedFolder(folder: string, user: User, objects: Iterable<StoredBody>): void {
  const place = join(folder, user.fingerprint);
  mkdirSync(place, { recursive: true, mode: 0o700 });
  for (const { name, body } of objects) writeFileSync(join(place, name), body, { mode: 0o600 });
}

/** Stores objects through a driver, eight at a time. */
export async function seedDriver(driver: Driver, objects: Iterable<StoredBody>): Promise<void> {
  const waiting = objects[Symbol.iterator]();
  const lane = async () => {
    for (let next = waiting.next(); !next.done; next = waiting.next()) {
      await driver.put(next.value.name, next.value.body);
    }
  };
  await Promise.all(Array.from({ length: 8 }, lane));
}
