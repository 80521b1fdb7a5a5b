/**
 * The log of a user: append and read, by the rules of PROTOCOL.md.
 *
 * A client's sequence has no holes and no rewrites, ever. What is acknowledged is in storage.
 */
import { ObjectMissing } from "../storage/driver.ts";
import type { Listing } from "../storage/listing.ts";
import type { Listings } from "../storage/listings.ts";
import type { Fingerprint, ObjectName } from "../storage/names.ts";
import { md5Of, type Objects } from "../storage/objects.ts";
import { isOverlap, lengthOf, type Run, type Span } from "../storage/sequence.ts";
import type { Door } from "./access.ts";
import { Parts } from "./parts.ts";
import { operationLine } from "./protocol.ts";
import type { Addition, Reservation } from "./quota.ts";
import { MAX_LISTS, Reader, type Reading, type ReadOptions } from "./reading.ts";
import { encodeSegment } from "./segment.ts";
import { bytesOf } from "./text.ts";
import { Turns } from "./turns.ts";

/** Refused: the operation's index is beyond the next one of its client. */
export class OperationGap extends Error {
  override name = "OperationGap";
  readonly nextIndex: number;
  constructor(nextIndex: number) {
    super(`the next operation of this client has the index ${nextIndex}`);
    this.nextIndex = nextIndex;
  }
}

/** Refused: another payload is stored under the operation's index. */
export class OperationConflict extends Error {
  override name = "OperationConflict";
  readonly index: number;
  constructor(index: number) {
    super(`operation ${index} of this client is stored already, with another payload`);
    this.index = index;
  }
}

/** Operations that a client has sent, the first under the index `first`. */
interface Batch extends Span {
  readonly user: Fingerprint;
  readonly client: string;
  readonly payloads: readonly string[];
}

/** What is to be stored, and its place in the user's quota. */
interface Missing {
  readonly objects: readonly { readonly name: ObjectName; readonly body: Uint8Array }[];
  readonly reservation: Reservation | undefined;
}

/** Asked before anything new is stored, with the listing it would go into; or says why not. */
export type Admit = (addition: Addition, listing: Listing) => Reservation | Error;

export interface AppendOptions {
  /** Asked of every listing that the append goes by. */
  readonly door?: Door;
  readonly admit?: Admit;
}

/** A larger batch is stored as several segments: whoever reads one holds it in memory whole. */
const SEGMENT_BYTES = 4 * 1024 * 1024;

export class Log {
  /** What the log has done so far; read by the metrics. */
  readonly counts = { stored: 0, retried: 0, gaps: 0, conflicts: 0 };
  readonly #reader: Reader;
  readonly #listings: Listings;
  readonly #objects: Objects;
  readonly #parts: Parts;
  readonly #onAppended: (user: Fingerprint) => void;
  readonly #turns = new Turns();

  /** @param onAppended told of every user whose log has grown */
  constructor(
    listings: Listings,
    objects: Objects,
    parts = new Parts(objects),
    onAppended: (user: Fingerprint) => void = () => undefined,
  ) {
    this.#listings = listings;
    this.#objects = objects;
    this.#parts = parts;
    this.#reader = new Reader(listings, parts);
    this.#onAppended = onAppended;
  }

  /**
   * Appends operations of one client, the first under the index `first`. Returns once all of them
   * are in durable storage; those that were there already, with the same payloads, count as that.
   * Throws `OperationGap`, `OperationConflict` or what `door` and `admit` say, having stored nothing.
   */
  append(
    user: Fingerprint,
    client: string,
    first: number,
    payloads: readonly string[],
    { door, admit }: AppendOptions = {},
  ): Promise<void> {
    const batch = { user, client, first, last: first + payloads.length - 1, payloads };
    // In turns, so that two requests under one index never both find it free.
    return this.#turns.take(`${user}.${client}`, async () => {
      const { objects, reservation } = await this.#missing(batch, door, admit);
      const missing = objects.reduce((sum, { name }) => sum + lengthOf(name), 0);
      this.counts.retried += payloads.length - missing;
      try {
        // One after the other: a crash between two of them leaves no hole.
        for (const { name, body } of objects) {
          await this.#store(name, body);
          reservation?.stored(body.byteLength);
          this.counts.stored += lengthOf(name);
        }
      } finally {
        reservation?.end();
      }
      if (missing > 0) this.#onAppended(user);
    });
  }

  /** How many operations were delivered so far; read by the metrics. */
  get delivered(): number {
    return this.#reader.delivered;
  }

  /** The operations above what the reader is aware of: for each client, its last known index. */
  read(
    user: Fingerprint,
    aware: ReadonlyMap<string, number>,
    options?: ReadOptions,
  ): Promise<Reading> {
    return this.#reader.read(user, aware, options);
  }

  async #store(name: ObjectName, body: Uint8Array): Promise<void> {
    await this.#objects.put(name, body).catch((error: unknown) => {
      this.#listings.forget(name.user);
      throw error;
    });
    this.#listings.appended(name, body.byteLength);
  }

  /** What of a batch is to be stored. Throws when it may not be appended. */
  async #missing(batch: Batch, door: Door | undefined, admit: Admit | undefined): Promise<Missing> {
    const cached = await this.#listings.get(batch.user);
    await door?.(cached);
    const known = await this.#toStore(batch, cached, admit);
    if (!(known instanceof Error)) return known;
    for (let lists = 1; ; lists++) {
      // A cached listing never refuses anybody: another instance may know better.
      const fresh = await this.#listings.fresh(batch.user);
      await door?.(fresh);
      const actual = await this.#toStore(batch, fresh, admit);
      if (!(actual instanceof Error)) return actual;
      if (actual instanceof ObjectMissing && lists < MAX_LISTS) continue;
      if (actual instanceof OperationGap) this.counts.gaps++;
      if (actual instanceof OperationConflict) this.counts.conflicts++;
      throw actual;
    }
  }

  /** The objects that a listing lacks and that are let in, or why they may not be appended. */
  async #toStore(
    batch: Batch,
    listing: Listing,
    admit: Admit | undefined,
  ): Promise<Missing | Error> {
    const missing = await this.#compare(batch, listing);
    if (missing instanceof Error) return missing;
    const objects = missing
      .flatMap((span) => segmentsOf(batch, span))
      .map((span) => objectOf(batch, span));
    // What is stored already is never refused.
    if (objects.length === 0 || admit === undefined) return { objects, reservation: undefined };
    const { user, client } = batch;
    const bytes = objects.reduce((sum, { body }) => sum + body.byteLength, 0);
    const reservation = admit({ user, client, bytes }, listing);
    return reservation instanceof Error ? reservation : { objects, reservation };
  }

  /** The operations that a listing lacks, or why they may not be appended to it. */
  async #compare(
    batch: Batch,
    listing: Listing,
  ): Promise<Span[] | OperationGap | OperationConflict | ObjectMissing> {
    const sequence = listing.clients.get(batch.client);
    let next = sequence?.next ?? 0;
    const stored: (boolean | undefined)[] = [];
    try {
      for (const piece of sequence?.within(batch) ?? []) {
        for (const run of isOverlap(piece) ? piece.runs : [piece]) {
          await this.#compareWith(run, batch, stored);
        }
      }
    } catch (error) {
      if (error instanceof ObjectMissing) return error;
      throw error;
    }
    const missing: { first: number; last: number }[] = [];
    for (let index = batch.first; index <= batch.last; index++) {
      const same = stored[index - batch.first];
      if (same === false) return new OperationConflict(index);
      if (same === undefined) {
        if (index > next) return new OperationGap(next);
        const span = missing.at(-1);
        if (span?.last === index - 1) span.last = index;
        else missing.push({ first: index, last: index });
      }
      if (index === next) next++;
    }
    return missing;
  }

  /** Notes for each operation of a batch that a run holds whether it has the same payload there. */
  async #compareWith(run: Run, batch: Batch, stored: (boolean | undefined)[]): Promise<void> {
    const { user, client, payloads } = batch;
    const first = Math.max(run.first, batch.first);
    const last = Math.min(run.last, batch.last);
    const note = (index: number, same: boolean) => {
      const i = index - batch.first;
      stored[i] = same || stored[i] === true;
    };
    const payloadOf = (index: number) => payloads[index - batch.first] ?? "";
    if (run.first === run.last) {
      note(first, md5Of(bytesOf(payloadOf(first))) === run.md5);
      return;
    }
    if (first === run.first && last === run.last) {
      // A batch sent again: the name tells, and storage need not be asked.
      const body = encodeSegment(
        client,
        first,
        payloads.slice(first - batch.first, last - batch.first + 1),
      );
      if (md5Of(body) === run.md5) {
        for (let index = first; index <= last; index++) note(index, true);
        return;
      }
    }
    const segment = await this.#parts.segment(user, client, run);
    for (let index = first; index <= last; index++) {
      const line = bytesOf(operationLine(client, index, payloadOf(index)));
      note(index, Buffer.compare(segment.lines(index, index), line) === 0);
    }
  }
}

/** Operations of a batch as they are stored: one as an object of its own, several as a segment. */
function objectOf(
  { user, client, first: start, payloads }: Batch,
  { first, last }: Span,
): Missing["objects"][number] {
  const some = payloads.slice(first - start, last - start + 1);
  const body = first === last ? bytesOf(some.join("")) : encodeSegment(client, first, some);
  return { name: { user, client, first, last, md5: md5Of(body) }, body };
}

/** Cuts a span of a batch where a segment would become too large. */
function segmentsOf({ first: start, payloads }: Batch, { first, last }: Span): Span[] {
  const spans: { first: number; last: number }[] = [];
  let bytes = 0;
  for (let index = first; index <= last; index++) {
    const size = Buffer.byteLength(payloads[index - start] ?? "");
    const span = spans.at(-1);
    if (span === undefined || bytes + size > SEGMENT_BYTES) {
      spans.push({ first: index, last: index });
      bytes = size;
    } else {
      span.last = index;
      bytes += size;
    }
  }
  return spans;
}
