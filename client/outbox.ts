/**
 * The operations that this installation creates: sealed once, stored, sent until acknowledged.
 *
 * Sealing is randomized, so sealing an operation again would make another one. Therefore an
 * operation is durable before it is sent for the first time, and is sent as it was stored.
 */
import { toBase64url } from "../protocol/base64.ts";
import type { Bytes } from "../protocol/bytes.ts";
import type { Line } from "../protocol/types.ts";
import { type Envelope, NO_PREVIOUS, originOf, parseEnvelope, type Session } from "./envelope.ts";
import { StoreDamaged } from "./errors.ts";
import { Sealer } from "./sealer.ts";
import { SerialQueue } from "./serial-queue.ts";
import { type BatchLimits, initialState } from "./state.ts";
import type { OwnClient, Store } from "./stores/store.ts";
import type { ClientChange, Continues, Created, Cursor, Identity, Operation } from "./types.ts";
import { RunVerifier, SHORT_TAG, type VerifiedRun } from "./verify.ts";

/** Consecutive operations to send. */
export interface OutgoingBatch {
  readonly client: string;
  readonly first: number;
  readonly payloads: readonly string[];
}

/** How many operations are decrypted at once: a bound on memory. */
const PAGE_OPERATIONS = 1000;

/** A client id that continues so many others is not continued: one byte counts them (E-1.7). */
const MAX_CONTINUED = 64;

interface Own {
  readonly client: string;
  length: number;
  acknowledged: number;
  highWater: number;
}

/** The own operations in one store: seals and stores new ones, and hands out batches to send. */
export class Outbox {
  readonly #store: Store;
  readonly #identity: Identity;
  readonly #own: Own[];
  readonly #verifier: RunVerifier;
  readonly #sealer: Sealer;
  /** The tag of the last payload of the current client id. */
  #head: Bytes = NO_PREVIOUS;
  /** Each operation is bound to the one before it, so they are created one after the other. */
  readonly #queue = new SerialQueue();

  private constructor(store: Store, identity: Identity, own: readonly OwnClient[]) {
    this.#store = store;
    this.#identity = identity;
    this.#verifier = new RunVerifier(identity);
    this.#sealer = new Sealer(identity, (client, index) => this.#sessionBefore(client, index));
    this.#own = own.map((client) => ({ ...client }));
  }

  /** Continues with the client ids that a store holds; begins one in a new store. */
  static async open(store: Store, identity: Identity, own: readonly OwnClient[]): Promise<Outbox> {
    if (own.length === 0) await store.begin(crypto.randomUUID());
    const known = own.length === 0 ? (await store.load()).own : own;
    const outbox = new Outbox(store, identity, known);
    const { client, length } = outbox.#current;
    if (length > 0) outbox.#head = (await outbox.#envelope(client, length - 1)).tag;
    return outbox;
  }

  /** The client id under which operations are created. */
  get client(): string {
    return this.#current.client;
  }

  /** The client ids of this installation: those given up, then the one in use. */
  get own(): readonly OwnClient[] {
    return this.#own;
  }

  /** The number of operations that the server has not acknowledged. */
  get pending(): number {
    return this.#own.reduce((sum, { length, acknowledged }) => sum + length - acknowledged, 0);
  }

  get #current(): Own {
    return present(this.#own.at(-1));
  }

  /** Seals operations. Returns the place of the first once they are durable. */
  append(data: readonly Bytes[], signal?: AbortSignal): Promise<Created> {
    return this.#queue.run(async () => {
      signal?.throwIfAborted();
      const own = this.#current;
      const first = own.length;
      const contents = data.map((one) => ({ data: one }));
      const sealed = await this.#sealer.seal(own.client, first, this.#head, contents);
      await this.#store.append(own.client, first, sealed.payloads);
      own.length += data.length;
      this.#head = sealed.tag;
      return { client: own.client, index: first };
    });
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
    return { client, first, payloads };
  }

  /** Records that the server has the operations before an index, and none from there on. */
  async acknowledge(client: string, next: number): Promise<void> {
    const own = this.#of(client);
    if (own.acknowledged === next) return;
    await this.#store.acknowledge(client, next);
    own.acknowledged = next;
    own.highWater = Math.max(own.highWater, next);
  }

  /** The position of the last operation of an own client id that the server has acknowledged. */
  async acknowledgedCursor(client: string): Promise<Cursor | undefined> {
    return this.cursorAt(client, this.#of(client).acknowledged - 1);
  }

  /** The position of an own operation; `undefined` for the index −1. */
  async cursorAt(client: string, index: number): Promise<Cursor | undefined> {
    if (index < 0) return undefined;
    const { tag, distance } = await this.#envelope(client, index);
    const first = index - distance;
    const { header } = await this.#envelope(client, first);
    if (header === undefined) throw unreadable(client, first);
    const before = index === 0 ? NO_PREVIOUS : (await this.#envelope(client, index - 1)).tag;
    const session = { first, secret: toBase64url(header.wrapped) };
    return { client, index, tag: toBase64url(tag), previous: toBase64url(before), session };
  }

  /** The last position of each client id that was given up. The app has what was created here. */
  async cursors(): Promise<Cursor[]> {
    const cursors: Cursor[] = [];
    for (const { client, length } of this.#own.slice(0, -1)) {
      const cursor = await this.cursorAt(client, length - 1);
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
    return (await this.#continuedBy(own)).length < MAX_CONTINUED;
  }

  /**
   * Gives up a client id. The operations from `first` on are sealed again under a new one.
   *
   * @param continuing whether others may have received some of them under the old id: the new one
   *   says then which operations it stands for
   */
  changeClient(from: string, first: number, continuing: boolean): Promise<ClientChange> {
    return this.#queue.run(async () => {
      const own = this.#of(from);
      const count = own.length - first;
      const to = crypto.randomUUID();
      const continues = continuing && count > 0 ? await this.#continues(from, first) : undefined;
      const payloads: string[] = [];
      let head = NO_PREVIOUS;
      for await (const page of this.#pages(own, first)) {
        const contents = page.map(({ index, data }) => {
          return index === first ? { data, continues } : { data };
        });
        const sealed = await this.#sealer.seal(to, payloads.length, head, contents);
        payloads.push(...sealed.payloads);
        head = sealed.tag;
      }
      await this.#store.move({ from, length: first, to, payloads });
      own.length = first;
      own.acknowledged = Math.min(own.acknowledged, first);
      own.highWater = Math.min(own.highWater, first);
      this.#own.push({ client: to, length: count, acknowledged: 0, highWater: 0 });
      this.#head = head;
      return { from, to, first, count };
    });
  }

  /** The client ids that own ones continue. */
  async continued(): Promise<Continues[]> {
    const found = await Promise.all(this.#own.slice(1).map((own) => this.#continuedBy(own)));
    return found.flat();
  }

  async #continuedBy({ client, length }: Own): Promise<readonly Continues[]> {
    if (length === 0) return [];
    const { cursor } = await this.#verify(client, 0, 1);
    return cursor?.continues ?? [];
  }

  /** What a new client id continues: of all operations that one request can have carried. */
  async #continues(client: string, index: number): Promise<Continues[]> {
    const { operations, characters } = initialState.limits;
    const sent = await this.#store.read(client, index, operations, characters);
    const { tagOf } = await this.#verify(client, index, sent.length);
    const tags = sent.map((_, i) => tagOf(index + i).slice(0, SHORT_TAG)).join("");
    const before = (await this.#continuedBy(this.#of(client))).map((one) => ({
      client: one.client,
      index: one.index + index,
      tags: one.tags.slice(index * SHORT_TAG),
    }));
    return [{ client, index, tags }, ...before.filter((one) => one.tags !== "")];
  }

  /** All operations of this installation, decrypted, in the order of their creation. */
  async *operations(): AsyncGenerator<Operation[], void, void> {
    for (const own of [...this.#own]) yield* this.#pages(own, 0);
  }

  /** Reads the operations of an own client id from an index on, decrypted. */
  async *#pages({ client, length }: Own, first: number): AsyncGenerator<Operation[], void, void> {
    for (let at = first; at < length; at += PAGE_OPERATIONS) {
      yield (await this.#verify(client, at, Math.min(PAGE_OPERATIONS, length - at))).operations;
    }
  }

  /** Reads own operations. Throws `StoreDamaged` unless each is whole. */
  async #verify(client: string, first: number, count: number): Promise<VerifiedRun> {
    const payloads = await this.#store.read(client, first, count, Infinity);
    const lines = payloads.map((payload, i) => ({ client, index: first + i, payload }));
    const before = await this.cursorAt(client, first - 1);
    const run = await this.#verifier.verify(client, lines, before);
    if (run.operations.length === count) return run;
    const fault = run.refusal ?? run.unreadable[0];
    throw new StoreDamaged(`operation ${fault?.index} of ${client}: ${fault?.kind}`);
  }

  /** The session of the operation before an index. A new one takes its place where that does not open. */
  async #sessionBefore(client: string, index: number): Promise<Session | undefined> {
    if (index === 0) return undefined;
    try {
      const { cursor } = await this.#verify(client, index - 1, 1);
      if (cursor === undefined) return undefined;
      const { session } = cursor;
      const key = await this.#verifier.keyOf(originOf(this.#identity, client), session);
      return { first: session.first, header: undefined, key };
    } catch (error) {
      if (error instanceof StoreDamaged) return undefined;
      throw error;
    }
  }

  async #envelope(client: string, index: number): Promise<Envelope> {
    const [payload = ""] = await this.#store.read(client, index, 1, 0);
    const envelope = parseEnvelope(this.#identity, payload);
    if (envelope === undefined) throw unreadable(client, index);
    return envelope;
  }

  /** Closes the store. */
  close(): Promise<void> {
    return this.#store.close();
  }

  #of(client: string): Own {
    return present(this.#own.find((own) => own.client === client));
  }
}

function unreadable(client: string, index: number): StoreDamaged {
  return new StoreDamaged(`operation ${index} of ${client} cannot be read`);
}

function present(own: Own | undefined): Own {
  if (own === undefined) throw new StoreDamaged("the store has lost its client id");
  return own;
}
