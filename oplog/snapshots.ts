/**
 * Snapshots: operations that stand for others, so that a device which takes one needs none of these. The
 * payload is an operation like any other; a marker beside it says what it covers (`SnapshotName`).
 */
import { LRUCache } from "lru-cache";
import { textOf, utf8 } from "../protocol/bytes.ts";
import { isClientId, isOperationIndex } from "../protocol/ids.ts";
import { parseMembers } from "../protocol/ndjson.ts";
import { md5Of, StorageUnavailable } from "../storage/driver.ts";
import type { Batch, Covers } from "./batch.ts";
import type { DamageListener } from "./entries.ts";
import type { ListedSnapshot } from "./listed-snapshots.ts";
import type { Listing } from "./listing.ts";
import { formatSnapshot } from "./names.ts";
import { type ObjectCache, ObjectDamaged } from "./object-cache.ts";
import { isOverlap, lengthOf } from "./sequence.ts";

/** Refused: the reader lacks operations that were deleted, and takes no snapshot. */
export class SnapshotRequired extends Error {
  override name = "SnapshotRequired";
  readonly code = "snapshot-required";
}

/** Refused: a snapshot does not fit to what is stored. */
export class SnapshotRefused extends Error {
  override name = "SnapshotRefused";
  readonly code = "snapshot-refused";
  readonly members: { readonly client_id: string; readonly next_index: number };
  constructor(message: string, client: string, nextIndex: number) {
    super(message);
    this.members = { client_id: client, next_index: nextIndex };
  }
}

/** A reader needs a snapshot, and none can be used. A device that stores one makes the log readable again. */
export class NoUsableSnapshot extends StorageUnavailable {
  override name = "NoUsableSnapshot";
  readonly detail =
    "Operations of this user were deleted, and no snapshot that stands for them can be read. A device that has them can store another one.";
  constructor() {
    super("a log was trimmed, and has no usable snapshot");
  }
}

/** A marker that is to be stored. */
export interface NewSnapshot extends ListedSnapshot {
  readonly body: Uint8Array;
}

export interface SnapshotsOptions {
  readonly objects: ObjectCache;
  /** Milliseconds of Unix time. */
  readonly time: () => number;
  /** Called with every marker that turns out to be damaged. */
  readonly onDamaged: DamageListener;
}

/** How many clients in what snapshots cover are remembered. */
const REMEMBERED = 100_000;

/** The markers of snapshots in storage. None ever changes, so none that is remembered is out of date. */
export class Snapshots {
  readonly #options: SnapshotsOptions;
  readonly #covers = new LRUCache<string, Covers>({
    maxSize: REMEMBERED,
    sizeCalculation: ({ size }) => 1 + size,
  });

  constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  /**
   * The marker that a listing lacks of an append; `undefined` where the append has no snapshot, or all of it
   * is stored; or the error to refuse it with.
   */
  plan(
    listing: Listing,
    { user, client, first, snapshot }: Batch,
  ): NewSnapshot | undefined | Error {
    if (snapshot === undefined) return undefined;
    const body = encodeCovers(snapshot);
    const md5 = md5Of(body);
    const same = listing.snapshots.find(
      (other) => other.client === client && other.index === first,
    );
    const nextOf = (name: string) => listing.clients.get(name)?.next ?? 0;
    if (same !== undefined) {
      if (same.md5 === md5) return undefined;
      const fault = `operation ${first} is a snapshot already, and covers something else`;
      return new SnapshotRefused(fault, client, nextOf(client));
    }
    for (const [name, index] of snapshot) {
      if (name === client || index < nextOf(name)) continue;
      const fault = `it covers operation ${index} of client ${name}, which is not stored`;
      return new SnapshotRefused(fault, name, nextOf(name));
    }
    for (const [name, { base, next }] of listing.clients) {
      if (name === client || base <= (snapshot.get(name) ?? -1) + 1) continue;
      const fault = `it does not cover operation ${base - 1} of client ${name}, which is deleted`;
      return new SnapshotRefused(fault, name, next);
    }
    const at = Math.floor(this.#options.time() / 1000);
    return { user, at, client, index: first, md5, size: body.byteLength, body };
  }

  /** Stores a marker; resolves once it is durable. Throws as `Driver.put` does. */
  put(snapshot: NewSnapshot): Promise<void> {
    return this.#options.objects.putMarker(formatSnapshot(snapshot), snapshot.body, snapshot.md5);
  }

  /** What a snapshot covers. Throws `ObjectMissing`, `ObjectDamaged` and `StorageUnavailable`. */
  async coversOf(snapshot: ListedSnapshot): Promise<Covers> {
    const name = formatSnapshot(snapshot);
    const known = this.#covers.get(name);
    if (known !== undefined) return known;
    try {
      const covers = await this.#read(name, snapshot);
      this.#covers.set(name, covers);
      return covers;
    } catch (error) {
      if (error instanceof ObjectDamaged) this.#options.onDamaged(snapshot.user, error);
      throw error;
    }
  }

  async #read(name: string, snapshot: ListedSnapshot): Promise<Covers> {
    const covers = decodeCovers(await this.#options.objects.getMarker(name, snapshot));
    if (covers === undefined) throw new ObjectDamaged(name, "does not say what it covers");
    return covers;
  }
}

/**
 * Whether a reader who takes a snapshot can go on by a listing: its operation is stored, it covers what its
 * client has created before, and everything that was trimmed.
 */
export function isUsable(listing: Listing, snapshot: ListedSnapshot, covers: Covers): boolean {
  if (bytesOf(listing, snapshot) === undefined) return false;
  if ((covers.get(snapshot.client) ?? -1) !== snapshot.index - 1) return false;
  for (const [client, { base }] of listing.clients) {
    if (base > (covers.get(client) ?? -1) + 1) return false;
  }
  return true;
}

/** What a snapshot comes to, roughly; `undefined` where its operation is not stored. */
export function bytesOf(
  listing: Listing,
  { client, index, size }: ListedSnapshot,
): number | undefined {
  const sequence = listing.clients.get(client);
  if (sequence === undefined || index < sequence.base) return undefined;
  for (const piece of sequence.within({ first: index, last: index })) {
    const [run] = isOverlap(piece) ? piece.runs : [piece];
    if (run !== undefined) return size + run.size / lengthOf(run);
  }
  return undefined;
}

/** What a reader is aware of once it has taken a snapshot. */
export function awareAfter(
  versionVector: ReadonlyMap<string, number>,
  { client, index }: ListedSnapshot,
  covers: Covers,
): Map<string, number> {
  const after = new Map(versionVector);
  for (const [name, covered] of [...covers, [client, index] as const]) {
    after.set(name, Math.max(covered, after.get(name) ?? -1));
  }
  return after;
}

/** The line of an operation as that of a snapshot: with a further member. */
export function snapshotLine(line: Uint8Array, covers: Covers): Uint8Array {
  const member = utf8(`,"snapshot":{"covers":${textOf(encodeCovers(covers))}}}\n`);
  return Buffer.concat([line.subarray(0, -"}\n".length), member]);
}

/** The JSON of what a snapshot covers: the same for the same, whatever order it came in. */
export function encodeCovers(covers: Covers): Uint8Array {
  const sorted = [...covers].sort(([a], [b]) => (a < b ? -1 : 1));
  return utf8(JSON.stringify(Object.fromEntries(sorted)));
}

function decodeCovers(body: Uint8Array): Covers | undefined {
  let members: Record<string, unknown>;
  try {
    members = parseMembers(textOf(body));
  } catch {
    return undefined;
  }
  const covers = new Map<string, number>();
  for (const [client, index] of Object.entries(members)) {
    if (!isClientId(client) || !isOperationIndex(index)) return undefined;
    covers.set(client, index);
  }
  return covers;
}
