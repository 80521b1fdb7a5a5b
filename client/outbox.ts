/**
 * The operations that this installation creates: stored, and sent until acknowledged.
 *
 * Sealing is randomized, so sealing an operation again would make another one. Therefore an
 * operation is durable before it is sent for the first time, and is sent as it was stored.
 */
import { toBase64url } from "../protocol/base64.ts";
import type { Bytes } from "../protocol/bytes.ts";
import type { Line } from "../protocol/types.ts";
import type { Content, SnapshotContent } from "./content.ts";
import { bytesOf, divide } from "./draft.ts";
import { isSnapshot, NO_PREVIOUS, sizeWithoutSnapshots } from "./envelope.ts";
import { StoreDamaged } from "./errors.ts";
import type { Heads } from "./heads.ts";
import type { OwnEntries, Page } from "./operation.ts";
import { ownEntries } from "./own-entries.ts";
import type { OwnHistory } from "./own-history.ts";
import { OwnLog, unlessMoved } from "./own-log.ts";
import { OwnOperations } from "./own-operations.ts";
import { Sealer } from "./sealer.ts";
import { type BatchLimits, initialState } from "./state.ts";
import type { OwnClient, Place, Store, StoreState } from "./stores/store.ts";
import type { ClientChange, Continues, Created, Cursor, Identity, OperationName } from "./types.ts";
import { RunVerifier } from "./verify.ts";
import { Waiting } from "./waiting.ts";
import { Writes } from "./writes.ts";

/** Consecutive operations to send. */
export interface OutgoingBatch {
  readonly client: string;
  readonly first: number;
  readonly payloads: readonly string[];
  /** If it is one snapshot: for each client id, the last index that it stands for. */
  readonly covers?: Readonly<Record<string, number>> | undefined;
}

/** A batch under way, and the outbox that it came from. */
export interface Append {
  readonly outbox: Outbox;
  readonly batch: OutgoingBatch;
}

/** So much of what was appended last is kept until it is read: a bound on memory. */
const RECENT_BYTES = 1024 * 1024;

/** So many operations are measured at once. */
const PIECE_OPERATIONS = 1024;

/** A client id that continues so many others is not continued: one byte counts them (E-1.7). */
const MAX_CONTINUED = 64;

/** The own operations in one store: seals and stores new ones, and hands out batches to send. */
export class Outbox implements OwnHistory {
  readonly #store: Store;
  readonly #log: OwnLog;
  readonly #own: OwnOperations[];
  readonly #sealer: Sealer;
  /** The tag of the last payload of the current client id. */
  #head: Bytes = NO_PREVIOUS;
  /** The entries of the next operation. */
  #waiting = new Waiting();
  /** What was appended last, until it is read: most is delivered at once, and need not be opened again. */
  #recent: (Page & { readonly first: number }) | undefined;
  /** What the next operation tells of the operations of others. */
  heads: Pick<Heads, "unsaid" | "said"> | undefined;
  /** The snapshots that the server does not take as such. */
  readonly #plain = new Set<string>();
  /** How far the store has recorded that own entries were delivered. */
  readonly #recorded: Map<string, Place | undefined>;
  /** Each operation is bound to the one before it, so they are created one after the other. */
  readonly #writes: Writes;

  private constructor(store: Store, identity: Identity, own: readonly OwnClient[], writes: Writes) {
    this.#store = store;
    this.#writes = writes;
    this.#log = new OwnLog(store, identity, new RunVerifier(identity));
    this.#sealer = new Sealer(identity, (client, index) => {
      const { cursor } = this.#waiting;
      const isDraft = cursor?.client === client && cursor.index === index - 1;
      return isDraft ? this.#log.sessionOf(cursor) : this.#log.sessionBefore(client, index);
    });
    this.#own = own.map((one) => new OwnOperations(one));
    this.#recorded = new Map(own.map(({ client, delivered }) => [client, delivered]));
  }

  /** Continues with what a store holds; begins a client id in a new store. */
  static async open(
    store: Store,
    identity: Identity,
    state: StoreState,
    writes = new Writes(store),
  ): Promise<Outbox> {
    if (state.own.length === 0) await store.begin(crypto.randomUUID());
    const { own, drafts } = state.own.length === 0 ? await store.load() : state;
    const outbox = new Outbox(store, identity, own, writes);
    for (const one of outbox.#own) {
      one.countAfter(await outbox.#log.countEntries(one.client, one.acknowledged, one.length));
    }
    await outbox.#continueAfter(outbox.#current, drafts);
    return outbox;
  }

  /** Takes what other tabs have changed in the store. */
  async take({ own, drafts }: StoreState): Promise<void> {
    // All at once, because the app may be reading.
    const changes: (() => void)[] = [];
    for (const stored of own) {
      const known = this.#find(stored.client);
      const begun = { ...stored, delivered: undefined, length: 0, acknowledged: 0 };
      const one = known ?? new OwnOperations(begun);
      const change = await one.changeTo(stored, this.#log);
      changes.push(known === undefined ? () => this.#own.push(one) && change() : change);
    }
    const last = own.at(-1);
    if (last !== undefined) await this.#continueAfter(last, drafts);
    this.#recent = undefined;
    for (const change of changes) change();
  }

  /** The next operation, or draft, follows what is stored. */
  async #continueAfter({ client, length }: OwnClient, drafts: readonly string[]): Promise<void> {
    const head = length === 0 ? NO_PREVIOUS : await this.#log.tagAt(client, length - 1);
    this.#waiting = await this.#waiting.read(this.#log, client, length, drafts);
    this.#head = head;
    this.#sealer.reset();
  }

  /** The client id under which operations are created. */
  get client(): string {
    return this.#current.client;
  }

  lengthOf(client: string): number {
    return this.#find(client)?.length ?? 0;
  }

  /** Whether an operation was created here, or waits to be one. Another one can have its client id. */
  created(client: string, index: number): boolean {
    const own = this.#find(client);
    return own !== undefined && (own === this.#current || index < own.length);
  }

  get own(): readonly OwnOperations[] {
    return this.#own;
  }

  /** The number of entries that the server has not acknowledged. */
  get pending(): number {
    return this.#own.reduce((sum, { pending }) => sum + pending, this.#waiting.entries.length);
  }

  /** Whether entries wait for the next operation. */
  get isWaiting(): boolean {
    return this.#waiting.entries.length > 0;
  }

  get #current(): OwnOperations {
    return present(this.#own.at(-1));
  }

  /**
   * Creates entries. Returns their places once they are durable.
   *
   * @param limit the most bytes of entries in an operation; see `bytesPerOperation`
   * @param gather for how many milliseconds others may join them in their operation
   */
  append(
    entries: readonly Bytes[],
    limit: number,
    signal?: AbortSignal,
    gather = 0,
  ): Promise<Created[]> {
    return this.#writes.run(async () => {
      signal?.throwIfAborted();
      const { client, length: first, acknowledged } = this.#current;
      const waiting = this.#waiting.entries.length;
      const [joining = [], ...others] = divide(this.#waiting.bytes, entries, limit);
      // Nothing is gained by waiting, for an operation that is sent at once or is large.
      // Drafts follow an operation.
      const isFree = acknowledged === first && !(gather && first);
      const isLarge = others.length > 0 || bytesOf(entries) > limit / 2;
      if (isFree || isLarge)
        await this.#appendEntries([[...this.#waiting.entries, ...joining], ...others]);
      else await this.#appendDraft(entries);
      return [joining, ...others].flatMap((one, i) =>
        one.map((_, at) => ({ client, index: first + i, position: i === 0 ? waiting + at : at })),
      );
    });
  }

  /** Makes an operation of the entries that wait, if there are any. */
  sealWaiting(): Promise<void> {
    return this.#writes.run(() => this.#sealWaiting());
  }

  async #sealWaiting(): Promise<void> {
    if (this.isWaiting) await this.#appendEntries([this.#waiting.entries]);
  }

  async #appendEntries(operations: readonly (readonly Bytes[])[]): Promise<void> {
    await this.#appendOperations(operations.map((entries) => ({ entries })));
  }

  /**
   * Appends operations in the place of what waits. The first one tells what others have created.
   *
   * @param most the characters that a payload may have. False if one has more
   */
  async #appendOperations(contents: readonly Content[], most = Infinity): Promise<boolean> {
    const own = this.#current;
    const { client, length: first } = own;
    const heads = this.heads?.unsaid() ?? [];
    const all = contents.map((content, i) => (i === 0 ? { ...content, heads } : content));
    const { payloads, tag } = await this.#sealer.seal(client, first, this.#head, all);
    if (payloads.some(({ length }) => length > most)) {
      this.#sealer.reset();
      return false;
    }
    await this.#store.append(client, first, payloads);
    this.heads?.said(heads);
    own.length += contents.length;
    own.countAfter(contents.map(({ entries }) => entries.length));
    const operations = all.map((content, i) => ({ client, index: first + i, content }));
    const isLarge = bytesOf(contents.flatMap(({ entries }) => entries)) > RECENT_BYTES;
    this.#recent = isLarge ? undefined : { first, operations, next: own.length };
    this.#head = tag;
    this.#waiting = new Waiting();
    return true;
  }

  /**
   * Appends a snapshot, if it comes directly behind what its state stands for.
   *
   * @param most the characters that its payload may have
   */
  appendSnapshot(
    { client, index }: OperationName,
    snapshot: SnapshotContent,
    most: number,
  ): Promise<"appended" | "outdated" | "too large"> {
    return this.#writes.run(async () => {
      const own = this.#current;
      if (own.client !== client || own.length !== index || this.isWaiting) return "outdated";
      const continues = index > 0 ? await this.#log.continuedBy(client) : [];
      const isAppended = await this.#appendOperations([{ entries: [], continues, snapshot }], most);
      // Its state is not kept in memory.
      this.#recent = undefined;
      return isAppended ? "appended" : "too large";
    });
  }

  async #appendDraft(entries: readonly Bytes[]): Promise<void> {
    const { client, length } = this.#current;
    const { drafts, tag } = this.#waiting;
    const previous = drafts === 0 ? this.#head : tag;
    const sealed = await this.#sealer.seal(client, length + drafts, previous, [{ entries }]);
    await this.#store.appendDraft(client, length + drafts, sealed.payloads[0] ?? "");
    this.#waiting.add(entries, sealed.tag);
  }

  /** The oldest operations of an own client id that are not acknowledged, one at least. */
  next(client: string, limits: BatchLimits): Promise<OutgoingBatch> {
    return this.#batch(client, this.#of(client).acknowledged, limits);
  }

  /** The last operation of an own client id that has one. */
  last(client: string): Promise<OutgoingBatch> {
    return this.#batch(client, this.#of(client).length - 1, initialState.limits);
  }

  async #batch(client: string, first: number, limits: BatchLimits): Promise<OutgoingBatch> {
    const count = Math.min(limits.operations, this.#of(client).length - first);
    const payloads = await this.#store.read(client, first, count, limits.characters);
    const end = payloads.findIndex(isSnapshot);
    if (end !== 0) return { client, first, payloads: end < 0 ? payloads : payloads.slice(0, end) };
    const isPlain = this.#plain.has(`${client} ${first}`);
    const covers = isPlain ? undefined : await this.#log.coveredBy(client, first);
    return { client, first, payloads: payloads.slice(0, 1), covers };
  }

  /** Sends a snapshot as an operation like any other from now on: the server does not take it as one. */
  sendPlain({ client, first }: OutgoingBatch): void {
    this.#plain.add(`${client} ${first}`);
  }

  /** Records that the server has the operations before an index, and none from there on. */
  acknowledge(client: string, next: number): Promise<void> {
    return this.#writes.run(async () => {
      const own = this.#of(client);
      const { delivered } = own;
      const known = Math.min(next, own.length);
      if (own.acknowledged === known) return;
      const again = await this.#log.countEntries(client, known, own.acknowledged);
      await this.#store.acknowledge(client, known, delivered);
      this.#recorded.set(client, delivered);
      own.acknowledge(known, again);
    });
  }

  /** Records how far own entries were delivered. */
  async recordDelivered(): Promise<void> {
    const changed = this.#own.filter((own) => this.#recorded.get(own.client) !== own.delivered);
    if (changed.length === 0) return;
    await this.#writes.run(async () => {
      for (const { client, acknowledged, delivered } of changed) {
        await this.#store.acknowledge(client, acknowledged, delivered);
        this.#recorded.set(client, delivered);
      }
    });
  }

  /** The position of the last operation of an own client id that the server has acknowledged. */
  async acknowledgedCursor(client: string): Promise<Cursor | undefined> {
    return this.#log.cursorAt(client, this.#of(client).acknowledged - 1);
  }

  async cursorAt(client: string, index: number): Promise<Cursor | undefined> {
    const own = this.#of(client);
    if (index >= own.length) return undefined;
    return unlessMoved(own, index, this.#log.cursorAt(client, index));
  }

  async acknowledgedTag(client: string, index: number): Promise<string | undefined> {
    const acknowledged = this.#find(client)?.acknowledged ?? 0;
    return index < acknowledged ? this.tagAt(client, index) : undefined;
  }

  async tagAt(client: string, index: number): Promise<string | undefined> {
    if (index < 0 || index >= this.lengthOf(client)) return undefined;
    return toBase64url(await this.#log.tagAt(client, index));
  }

  continuedBy(client: string): Promise<readonly Continues[]> {
    return this.#log.continuedBy(client);
  }

  /**
   * The characters of own operations from an index on, without snapshots, as far as one piece goes, and the
   * index after them.
   */
  async measure(client: string, index: number): Promise<{ characters: number; next: number }> {
    const payloads = await this.#store.read(client, index, PIECE_OPERATIONS, RECENT_BYTES);
    return { characters: sizeWithoutSnapshots(payloads), next: index + payloads.length };
  }

  /** The last position of each client id that was given up. The app has what was created here. */
  async cursors(): Promise<Cursor[]> {
    const cursors: Cursor[] = [];
    for (const { client, length } of this.#own.slice(0, -1)) {
      const cursor = await this.#log.cursorAt(client, length - 1);
      if (cursor !== undefined) cursors.push(cursor);
    }
    return cursors;
  }

  /** Whether a line of an own client id is the operation that was created in its place. */
  async has({ client, index, payload }: Line): Promise<boolean> {
    if (index >= this.#of(client).length) return false;
    const [own] = await this.#store.read(client, index, 1, 0);
    return own === payload;
  }

  /**
   * Whether the operations of an own client id from `first` on may go on under a new one because of
   * what the server alone says. No other device has had the server's word for them; and a server
   * that refuses the new id as well is not given one after the other.
   */
  async mayContinue(client: string, first: number): Promise<boolean> {
    const own = this.#of(client);
    if (first < own.highWater || (first === 0 && this.#own[0] !== own)) return false;
    return own.length === 0 || (await this.#log.continuedBy(client)).length < MAX_CONTINUED;
  }

  /**
   * Gives up a client id. The operations from `first` on are sealed again under a new one.
   *
   * @param continuing whether others may have received some of them under the old id: the new one
   *   says then which operations it stands for
   */
  changeClient(from: string, first: number, continuing: boolean): Promise<ClientChange> {
    return this.#writes.run(async () => {
      await this.#sealWaiting();
      const own = this.#of(from);
      if (first > own.length) throw new RangeError(`${from} has ${own.length} operations`);
      const count = own.length - first;
      const to = crypto.randomUUID();
      const continues =
        continuing && count > 0
          ? await this.#log.continues(from, first, initialState.limits)
          : undefined;
      const pages = this.#log.pages(own, first);
      const resealed = await this.#sealer.sealAgain(own, first, pages, to, continues);
      const { payloads, counts, tag } = resealed;
      await this.#store.move({ from, length: first, to, payloads });
      this.#recent = undefined;
      own.cut(first);
      const moved = { from, first, count };
      const next = new OwnOperations({
        client: to,
        length: count,
        acknowledged: 0,
        highWater: 0,
        moved,
      });
      next.countAfter(counts);
      this.#own.push(next);
      this.#head = tag;
      this.#waiting = new Waiting();
      return { from, to, first, count };
    });
  }

  /** The client ids that own ones continue. */
  async continued(): Promise<Continues[]> {
    const own = this.#own.slice(1).filter(({ length }) => length > 0);
    const found = await Promise.all(own.map(({ client }) => this.#log.continuedBy(client)));
    return found.flat();
  }

  entries(client: string, from: Place): AsyncGenerator<OwnEntries, void, void> {
    const own = this.#of(client);
    const pages = (first: number) => {
      const recent = own === this.#current ? this.#recent : undefined;
      if (recent === undefined || first < recent.first) return this.#log.pages(own, first);
      // The reader may change them.
      this.#recent = undefined;
      return [recent];
    };
    const waiting = () => (own === this.#current ? this.#waiting.entries : []);
    return ownEntries(own, from, pages, waiting);
  }

  /** Removes the operations of a client id from an index on, which gives it up. */
  async drop(client: string, index: number): Promise<void> {
    // What is appended later must not take the place of what was once sent.
    if (client === this.client) await this.changeClient(client, index + 1, true);
    await this.#writes.run(async () => {
      const own = this.#of(client);
      if (index >= own.length) return;
      await this.#store.cut(client, index);
      own.cut(index);
    });
  }

  /** Closes the store. */
  close(): Promise<void> {
    return this.#store.close();
  }

  #find(client: string): OwnOperations | undefined {
    return this.#own.find((own) => own.client === client);
  }

  #of(client: string): OwnOperations {
    return present(this.#find(client));
  }
}

function present(own: OwnOperations | undefined): OwnOperations {
  if (own === undefined) throw new StoreDamaged("the store has lost its client id");
  return own;
}
