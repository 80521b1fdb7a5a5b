import { toBase64url } from "../protocol/base64.ts";
import { type Envelope, parseEnvelope, positionAt, sizeWithoutSnapshots } from "./envelope.ts";
import { StoreDamaged, unreadableAt } from "./errors.ts";
import type { VerifiedRun } from "./operation.ts";
import { lastOf } from "./positions.ts";
import type { Received, Store, StoreState } from "./stores/store.ts";
import type { Cursor, Identity } from "./types.ts";
import type { RunVerifier } from "./verify.ts";
import { Writes } from "./writes.ts";

/** How much is decrypted at once: a bound on memory. */
const PAGE_CHARACTERS = 1024 * 1024;

/** Reads the operations of others in a store, and opens them. */
export class ReceivedLog {
  readonly #store: Store;
  readonly #writes: Writes;
  readonly #identity: Identity;
  readonly #verifier: RunVerifier;
  /** The position before what is kept, of client ids whose first operations are not. */
  readonly #starts: Map<string, Cursor>;
  /** The position after what is kept. */
  readonly #ends: Map<string, Cursor>;
  /** Client ids of which something cannot be read. */
  readonly damaged = new Set<string>();

  constructor(
    store: Store,
    identity: Identity,
    verifier: RunVerifier,
    state: StoreState,
    writes = new Writes(store),
  ) {
    this.#store = store;
    this.#writes = writes;
    this.#identity = identity;
    this.#verifier = verifier;
    this.#starts = new Map(state.starts.map((start) => [start.client, start]));
    this.#ends = new Map(state.cursors.map((cursor) => [cursor.client, cursor]));
  }

  /** Takes what other tabs have changed in the store. Returns the client ids that it is of. */
  take({ cursors, starts }: StoreState): string[] {
    const before = new Map(this.#ends);
    this.#starts.clear();
    this.#ends.clear();
    for (const start of starts) this.#starts.set(start.client, start);
    for (const cursor of cursors) this.#ends.set(cursor.client, cursor);
    const clients = new Set([...before.keys(), ...this.#ends.keys()]);
    return [...clients].filter((one) => before.get(one)?.tag !== this.#ends.get(one)?.tag);
  }

  /** The position after what is kept of a client id. */
  end(client: string): Cursor | undefined {
    return this.#ends.get(client);
  }

  /** The positions after what is kept of each client id. */
  get ends(): Cursor[] {
    return [...this.#ends.values()];
  }

  /** For each client id whose first operations are not kept: the position before those that are. */
  get starts(): Cursor[] {
    return [...this.#starts.values()];
  }

  /** The index of the first operation that is kept of a client id, if there are any. */
  first(client: string): number {
    return lastOf(this.#starts.get(client)) + 1;
  }

  /** The position before that; `undefined` for the first operation of all. */
  start(client: string): Cursor | undefined {
    return this.#starts.get(client);
  }

  /**
   * As `Store.receive`.
   *
   * @param before the position that they follow. If that is not the end of what is kept, they replace
   *   it: what was damaged, or nothing yet of a client id that was ours
   * @param isNext whether they still do, after what other tabs may have changed
   * @returns whether they are stored
   */
  receive(
    before: Cursor | undefined,
    cursor: Cursor,
    payloads: readonly string[],
    isNext: () => boolean,
  ): Promise<boolean> {
    const { client } = cursor;
    return this.#writes.run(async () => {
      if (!isNext()) return false;
      if (this.#ends.get(client)?.index !== before?.index) await this.#forget(client, before);
      await this.#store.receive(cursor, payloads);
      this.#ends.set(client, cursor);
      return true;
    });
  }

  /** Records up to where operations were delivered, where tabs share what is kept. */
  async recordDelivered(cursors: readonly Cursor[]): Promise<void> {
    if (cursors.length > 0) await this.#store.shared?.recordDelivered(cursors);
  }

  /** Records the same after the app was given a state: nothing else was delivered. */
  async restartDelivered(cursors: readonly Cursor[]): Promise<void> {
    await this.#store.shared?.restartDelivered(cursors);
  }

  /** Keeps a cursor in the place of the one after what is kept, if it is for the same operation. */
  async replace(cursor: Cursor): Promise<void> {
    await this.receive(cursor, cursor, [], () => this.end(cursor.client)?.index === cursor.index);
  }

  /** As `Store.forget`. */
  forget(client: string, start: Cursor | undefined): Promise<void> {
    return this.#writes.run(() => this.#forget(client, start));
  }

  /** Forgets what is kept of a client id, if it ends at a position. What comes later follows that. */
  trim(position: Cursor): Promise<void> {
    const { client, tag } = position;
    return this.#writes.run(async () => {
      const isTrimmed = this.#starts.get(client)?.tag === tag;
      if (this.#ends.get(client)?.tag === tag && !isTrimmed) await this.#forget(client, position);
    });
  }

  async #forget(client: string, start: Cursor | undefined): Promise<void> {
    await this.#store.forget(client, start);
    if (start === undefined) {
      this.#starts.delete(client);
      this.#ends.delete(client);
    } else {
      this.#starts.set(client, start);
      this.#ends.set(client, start);
    }
  }

  /**
   * Reads the operations of a client id that follow a position, in runs. Throws `StoreDamaged` after
   * those that can be read.
   *
   * @param after not before what is kept
   */
  async *runs(client: string, after: Cursor | undefined): AsyncGenerator<VerifiedRun, void, void> {
    for (let cursor = after; ; ) {
      const next = lastOf(cursor) + 1;
      if (next < this.first(client)) {
        throw new StoreDamaged(`a snapshot has taken the place of operation ${next} of ${client}`);
      }
      if (next > lastOf(this.#ends.get(client))) return;
      const { first, payloads } = await this.#read(client, next, PAGE_CHARACTERS);
      const lines = payloads.map((payload, i) => ({ client, index: first + i, payload }));
      const run = await this.#verifier.verify(client, lines, cursor);
      if (run.cursor !== cursor) yield run;
      if (run.refusal !== undefined) throw await this.#unreadable(client, run.refusal.index);
      cursor = run.cursor;
    }
  }

  /** The position of an operation that is kept; the start of what is kept for any other one. */
  async cursorAt(client: string, index: number): Promise<Cursor | undefined> {
    const start = this.#starts.get(client);
    if ((await this.tagAt(client, index)) === undefined) return start;
    const read = (at: number) => this.#envelope(client, at);
    return positionAt(client, index, read, (at) => this.#unreadable(client, at), start);
  }

  /**
   * The characters of the operations from an index on, without snapshots, as far as one piece goes, and
   * the index after them; the same index at the end. Throws `StoreDamaged`.
   */
  async measure(client: string, index: number): Promise<{ characters: number; next: number }> {
    const next = Math.max(index, this.first(client));
    if (next > lastOf(this.#ends.get(client))) return { characters: 0, next };
    const { first, payloads } = await this.#read(client, next, PAGE_CHARACTERS);
    return { characters: sizeWithoutSnapshots(payloads), next: first + payloads.length };
  }

  /** The tag of an operation, as in a cursor; `undefined` where that is not kept. */
  async tagAt(client: string, index: number): Promise<string | undefined> {
    if (index < this.first(client)) return undefined;
    if (index > lastOf(this.#ends.get(client))) return undefined;
    return toBase64url((await this.#envelope(client, index)).tag);
  }

  async #envelope(client: string, index: number): Promise<Envelope> {
    const { first, payloads } = await this.#read(client, index, 0);
    const envelope = first === index && parseEnvelope(this.#identity, payloads[0] ?? "");
    if (!envelope) throw await this.#unreadable(client, index);
    return envelope;
  }

  /** Reads payloads where there has to be one. */
  async #read(client: string, index: number, characters: number): Promise<Received> {
    try {
      const received = await this.#store.readReceived(client, index, characters);
      if (received.payloads.length > 0) return received;
    } catch (error) {
      if (error instanceof StoreDamaged) await this.#noteDamage(client, index);
      throw error;
    }
    throw await this.#unreadable(client, index);
  }

  async #unreadable(client: string, index: number): Promise<StoreDamaged> {
    await this.#noteDamage(client, index);
    return unreadableAt(client, index);
  }

  /** An operation cannot be read. Another tab may have put a snapshot in its place: then nothing is damaged. */
  async #noteDamage(client: string, index: number): Promise<void> {
    await this.#writes.refresh();
    const isKept = index >= this.first(client) && index <= lastOf(this.#ends.get(client));
    if (isKept) this.damaged.add(client);
  }
}
