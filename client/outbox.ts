/**
 * The operations that this installation creates: sealed once, stored, sent until acknowledged.
 *
 * Sealing is randomized, so sealing an operation again would make another one. Therefore an
 * operation is durable before it is sent for the first time, and is sent as it was stored.
 */
import { fromBase64url, toBase64url } from "../protocol/base64.ts";
import { type Bytes, sha256 } from "../protocol/bytes.ts";
import { type ContentKey, NO_PREVIOUS, newContentKey, seal } from "./envelope.ts";
import { StoreDamaged } from "./errors.ts";
import { SerialQueue } from "./serial-queue.ts";
import type { OwnClient, Store } from "./stores/store.ts";
import type { ClientChange, Created, Cursor, Identity, Operation } from "./types.ts";
import { RunVerifier } from "./verify.ts";

/** Consecutive operations to send. */
export interface OutgoingBatch {
  readonly client: string;
  readonly first: number;
  readonly payloads: readonly string[];
}

/** How many operations are decrypted at once: a bound on memory. */
const DECRYPT_OPERATIONS = 1000;

interface Own {
  readonly client: string;
  length: number;
  acknowledged: number;
}

export class Outbox {
  readonly #store: Store;
  readonly #identity: Identity;
  readonly #own: Own[];
  /** SHA-256 of the last payload of the current client id. */
  #head: Bytes = NO_PREVIOUS;
  #contentKey: Promise<ContentKey> | undefined;
  /** Each operation names the one before it, so they are created one after the other. */
  readonly #queue = new SerialQueue();

  private constructor(store: Store, identity: Identity, own: readonly OwnClient[]) {
    this.#store = store;
    this.#identity = identity;
    this.#own = own.map((client) => ({ ...client }));
  }

  /** Continues with the client ids that a store holds; begins one in a new store. */
  static async open(store: Store, identity: Identity, own: readonly OwnClient[]): Promise<Outbox> {
    const outbox = new Outbox(store, identity, own);
    if (own.length === 0) {
      const client = crypto.randomUUID();
      await store.begin(client);
      outbox.#own.push({ client, length: 0, acknowledged: 0 });
    }
    const { client, length } = outbox.#current;
    outbox.#head = await outbox.#hashOf(client, length - 1);
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
    const current = this.#own.at(-1);
    if (current === undefined) throw new StoreDamaged("the store has no client id");
    return current;
  }

  /** Seals operations. Returns once they are durable. */
  append(data: readonly Bytes[], signal?: AbortSignal): Promise<Created[]> {
    return this.#queue.run(async () => {
      signal?.throwIfAborted();
      const own = this.#current;
      const first = own.length;
      const sealed = await this.#seal(own.client, first, this.#head, data);
      await this.#store.append(own.client, first, sealed.payloads);
      own.length += data.length;
      this.#head = sealed.head;
      return data.map((_, i) => ({ client: own.client, index: first + i }));
    });
  }

  /** The oldest operations that are not acknowledged; `undefined` if all are. */
  async next(limits: {
    readonly operations: number;
    readonly characters: number;
  }): Promise<OutgoingBatch | undefined> {
    const own = this.#own.find(({ length, acknowledged }) => acknowledged < length);
    if (own === undefined) return undefined;
    const { client, acknowledged: first, length } = own;
    const count = Math.min(limits.operations, length - first);
    return {
      client,
      first,
      payloads: await this.#store.read(client, first, count, limits.characters),
    };
  }

  /** The last operation of an own client id; `undefined` if it has none. */
  async last(client: string): Promise<OutgoingBatch | undefined> {
    const own = this.#of(client);
    if (own.length === 0) return undefined;
    const first = own.length - 1;
    return { client, first, payloads: await this.#store.read(client, first, 1, 0) };
  }

  /** Records that the server has the operations before an index, and none from there on. */
  async acknowledge(client: string, next: number): Promise<void> {
    const own = this.#of(client);
    if (own.acknowledged === next) return;
    await this.#store.acknowledge(client, next);
    own.acknowledged = next;
  }

  /** The position of the last operation of an own client id that the server has acknowledged. */
  async acknowledgedCursor(client: string): Promise<Cursor | undefined> {
    const { acknowledged } = this.#of(client);
    return this.cursorAt(client, acknowledged - 1);
  }

  /** The position of an own operation; `undefined` for the index −1. */
  async cursorAt(client: string, index: number): Promise<Cursor | undefined> {
    if (index < 0) return undefined;
    return { client, index, hash: toBase64url(await this.#hashOf(client, index)) };
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

  /** The payload of an own operation, if there is one with this index. */
  async payload(client: string, index: number): Promise<string | undefined> {
    const own = this.#own.find((known) => known.client === client);
    if (own === undefined || index >= own.length) return undefined;
    const [payload] = await this.#store.read(client, index, 1, 0);
    return payload;
  }

  /**
   * Gives up a client id that is in use twice. The operations from `first` on, which no other
   * device has under it, are sealed again under a new client id.
   */
  changeClient(from: string, first: number): Promise<ClientChange> {
    return this.#queue.run(async () => {
      const own = this.#of(from);
      const count = own.length - first;
      const to = crypto.randomUUID();
      const payloads: string[] = [];
      let head = NO_PREVIOUS;
      for (let at = first; at < own.length; at += DECRYPT_OPERATIONS) {
        const data = await this.#data(from, at, Math.min(DECRYPT_OPERATIONS, own.length - at));
        const sealed = await this.#seal(to, payloads.length, head, data);
        for (const payload of sealed.payloads) payloads.push(payload);
        head = sealed.head;
      }
      await this.#store.move({ from, length: first, to, payloads });
      own.length = first;
      own.acknowledged = Math.min(own.acknowledged, first);
      this.#own.push({ client: to, length: count, acknowledged: 0 });
      this.#head = head;
      return { from, to, first, count };
    });
  }

  /** All operations of this installation, decrypted, in the order of their creation. */
  async *operations(): AsyncGenerator<Operation[], void, void> {
    for (const { client, length } of [...this.#own]) {
      for (let first = 0; first < length; first += DECRYPT_OPERATIONS) {
        const data = await this.#data(client, first, Math.min(DECRYPT_OPERATIONS, length - first));
        yield data.map((one, i) => ({ client, index: first + i, data: one }));
      }
    }
  }

  async #data(client: string, first: number, count: number): Promise<Bytes[]> {
    const payloads = await this.#store.read(client, first, count, Number.POSITIVE_INFINITY);
    const lines = payloads.map((payload, i) => ({ client, index: first + i, payload }));
    const before = await this.cursorAt(client, first - 1);
    const verifier = new RunVerifier(this.#identity);
    const { operations, ...run } = await verifier.verify(client, lines, before);
    const fault = run.refusal ?? run.unreadable[0];
    if (operations.length !== count) {
      throw new StoreDamaged(`operation ${fault?.index} of ${client}: ${fault?.kind}`);
    }
    return operations.map(({ data }) => data);
  }

  async #seal(client: string, first: number, previous: Bytes, data: readonly Bytes[]) {
    this.#contentKey ??= newContentKey(this.#identity);
    const content = await this.#contentKey;
    const payloads: string[] = [];
    let head = previous;
    for (const [i, one] of data.entries()) {
      const place = { client, index: first + i, previous: head };
      const { payload, hash } = await seal(this.#identity, content, place, one);
      payloads.push(payload);
      head = hash;
    }
    return { payloads, head };
  }

  async #hashOf(client: string, index: number): Promise<Bytes> {
    if (index < 0) return NO_PREVIOUS;
    const [payload = ""] = await this.#store.read(client, index, 1, 0);
    const bytes = fromBase64url(payload);
    if (payload === "" || bytes === undefined) {
      throw new StoreDamaged(`operation ${index} of ${client} cannot be read`);
    }
    return sha256(bytes);
  }

  #of(client: string): Own {
    const own = this.#own.find((known) => known.client === client);
    if (own === undefined) throw new RangeError(`${client} is no client id of this store`);
    return own;
  }
}
