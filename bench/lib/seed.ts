/** Logs that are in storage before the measurement begins. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { segmentChecksums } from "../../oplog/checksums.ts";
import { formatName } from "../../oplog/names.ts";
import { formatLine } from "../../protocol/ndjson.ts";
import { type Driver, md5Of } from "../../storage/driver.ts";
import { SEEDER, type User } from "./users.ts";
import { inParallel } from "./workers.ts";

/** The size of a payload, unless a scenario says otherwise. */
export const PAYLOAD_BYTES = 512;

/** A segment is complete once it has this many bytes. */
const SEGMENT_BYTES = 2 ** 20;

/** Text that looks like ciphertext in base64. The server does not look at it. */
export function payloadOf(index: number, bytes: number): string {
  const text = Buffer.alloc(Math.ceil((bytes * 3) / 4) + 3, `sealed ${index} `).toString("base64");
  return text.slice(0, bytes);
}

export interface SeedObject {
  readonly name: string;
  readonly body: Buffer;
}

/** The operations of a log as objects of one operation each. */
export function* singleObjects(
  { fingerprint: user }: User,
  operations: number,
  payloadBytes = PAYLOAD_BYTES,
): Generator<SeedObject> {
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
): Generator<SeedObject> {
  for (let first = 0; first < operations; ) {
    const lines: string[] = [];
    let index = first;
    for (let bytes = 0; bytes < SEGMENT_BYTES && index < operations; index++) {
      const line = formatLine(SEEDER, index, payloadOf(index, payloadBytes));
      lines.push(line);
      bytes += line.length;
    }
    const body = Buffer.from(lines.join(""));
    const name = { user, client: SEEDER, first, last: index - 1, ...segmentChecksums(body) };
    yield { name: formatName(name), body };
    first = index;
  }
}

/** Writes a user's objects into a storage folder, without fsync. */
export function seedFolder(storage: string, user: User, objects: Iterable<SeedObject>): void {
  const folder = join(storage, user.fingerprint);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const { name, body } of objects) writeFileSync(join(folder, name), body, { mode: 0o600 });
}

/** Stores objects through a driver. */
export function seedDriver(driver: Driver, objects: Iterable<SeedObject>): Promise<void> {
  return inParallel(8, objects, ({ name, body }) => driver.put(name, body));
}
