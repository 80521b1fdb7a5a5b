/** Reads objects, and compares each with what its name promises. */
import { isIntact } from "../../oplog/checksums.ts";
import { type Fingerprint, type ObjectName, parseName, parseSnapshot } from "../../oplog/names.ts";
import { ObjectDamaged } from "../../oplog/object-cache.ts";
import { prefetch } from "../../oplog/prefetch.ts";
import { Segment } from "../../oplog/segment.ts";
import {
  md5Of,
  ObjectMissing,
  ObjectUnreadable,
  type StorageReader,
  StorageUnavailable,
  type StoredObject,
} from "../../storage/driver.ts";

/** An object to read: of operations, or the marker of a snapshot, which has one index. */
export interface Wanted extends ObjectName {
  /** Its name. */
  readonly text: string;
  readonly size: number;
  readonly isSnapshot: boolean;
}

/** Why an object is not whole. `missing`: it was deleted since it was listed, or should be there. */
export interface Fault {
  readonly kind: "damaged" | "missing" | "unchecked";
  readonly what: string;
}

export interface Checked {
  readonly wanted: Wanted;
  readonly fault: Fault | undefined;
}

/** How much is read ahead: this bounds the memory, and the requests to a service at once. */
const READS = { maxItems: 16, maxBytes: 32 * 1024 * 1024 };

/** Those of some objects whose names have an MD5 of the body, one after the other. */
export function* wantedOf(objects: Iterable<StoredObject>): Generator<Wanted, void, void> {
  for (const { name: text, size } of objects) {
    const name = parseName(text);
    if (name !== undefined) yield { ...name, text, size, isSnapshot: false };
    const snapshot = name === undefined ? parseSnapshot(text) : undefined;
    if (snapshot === undefined) continue;
    const { user, client, index, md5 } = snapshot;
    yield { user, client, first: index, last: index, md5, text, size, isSnapshot: true };
  }
}

/** Checks some objects, several at once, in their order. */
export function checkEach(
  storage: StorageReader,
  wanted: Iterator<Wanted>,
): AsyncGenerator<Checked, void, void> {
  return prefetch(wanted, {
    read: async (one) => ({ wanted: one, fault: await faultOf(storage, one) }),
    bytes: ({ size }) => size,
    ...READS,
  });
}

async function faultOf(storage: StorageReader, wanted: Wanted): Promise<Fault | undefined> {
  try {
    await readIntact(storage, wanted);
    return undefined;
  } catch (error) {
    if (error instanceof ObjectDamaged) return { kind: "damaged", what: error.fault };
    if (error instanceof ObjectMissing) {
      return { kind: "missing", what: "is listed, and is not there" };
    }
    if (error instanceof ObjectUnreadable) return { kind: "damaged", what: "cannot be read" };
    if (error instanceof StorageUnavailable) return { kind: "unchecked", what: error.message };
    throw error;
  }
}

/** Throws `ObjectDamaged` where an object is not what its name promises, and as `Driver.get`. */
export async function readIntact(
  storage: StorageReader,
  wanted: Omit<Wanted, "isSnapshot">,
): Promise<Uint8Array> {
  const body = await storage.get(wanted.text, wanted.size);
  // Where there is a CRC-32, the server reads by that, and compaction by the MD5.
  if (!isIntact(body, wanted) || md5Of(body) !== wanted.md5) {
    throw new ObjectDamaged(wanted.text);
  }
  if (wanted.first < wanted.last) new Segment(wanted, body);
  return body;
}

/** How a report says which operations an object holds. */
export function operationsText(
  user: Fingerprint,
  client: string,
  first: number,
  last: number,
): string {
  const operations = first === last ? `operation ${first}` : `operations ${first} to ${last}`;
  return `${operations} of client ${client} of user ${user}`;
}
