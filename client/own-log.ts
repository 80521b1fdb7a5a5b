import type { Bytes } from "../protocol/bytes.ts";
import type { Line } from "../protocol/types.ts";
import type { ContentKey } from "./content-key.ts";
import { SHORT_TAG } from "./continues.ts";
import { type Envelope, originOf, parseEnvelope, positionAt, type Session } from "./envelope.ts";
import { StoreDamaged, unreadableAt } from "./errors.ts";
import type { Page, VerifiedRun } from "./operation.ts";
import type { OwnClient, Store } from "./stores/store.ts";
import type { Continues, Cursor, Identity, SessionStart } from "./types.ts";

/** How much of a log is decrypted at once: a bound on memory. */
const PAGE_CHARACTERS = 1024 * 1024;

/** What opens operations; see `RunVerifier`. */
interface Verifier {
  verify(client: string, lines: readonly Line[], cursor: Cursor | undefined): Promise<VerifiedRun>;
  keyOf(origin: Bytes, session: SessionStart): Promise<ContentKey>;
}

/** Reads the own operations in a store, and opens them. */
export class OwnLog {
  readonly #store: Store;
  readonly #identity: Identity;
  readonly #verifier: Verifier;
  /** The position that was asked for last. */
  #cursor: Cursor | undefined;
  readonly #continued = new Map<string, readonly Continues[]>();

  constructor(store: Store, identity: Identity, verifier: Verifier) {
    this.#store = store;
    this.#identity = identity;
    this.#verifier = verifier;
  }

  /** The tag of an own operation. */
  async tagAt(client: string, index: number): Promise<Bytes> {
    return (await this.#envelope(client, index)).tag;
  }

  /** The position of an own operation; `undefined` for the index −1. */
  async cursorAt(client: string, index: number): Promise<Cursor | undefined> {
    if (index < 0) return undefined;
    if (this.#cursor?.client === client && this.#cursor.index === index) return this.#cursor;
    const position = await positionAt(
      client,
      index,
      (at) => this.#envelope(client, at),
      (at) => unreadableAt(client, at),
    );
    const continues = await this.continuedBy(client);
    this.#cursor = { ...position, ...(continues.length > 0 && { continues }) };
    return this.#cursor;
  }

  /** The client ids that an own one with operations continues. */
  async continuedBy(client: string): Promise<readonly Continues[]> {
    const known = this.#continued.get(client);
    if (known !== undefined) return known;
    const payloads = await this.#store.read(client, 0, 1, 0);
    const { cursor, refusal } = await this.#open(client, 0, payloads);
    if (refusal !== undefined) throw unreadableAt(client, 0);
    const continues = cursor?.continues ?? [];
    this.#continued.set(client, continues);
    return continues;
  }

  /** What an own snapshot stands for: for each client id, the last index. Throws `StoreDamaged`. */
  async coveredBy(client: string, index: number): Promise<Record<string, number>> {
    const { operations } = await this.#verifyOne(client, index);
    const { cursors = [] } = operations[0]?.content.snapshot ?? {};
    const others = cursors.map((one) => [one.client, one.index] as const);
    return Object.fromEntries(index > 0 ? [...others, [client, index - 1]] : others);
  }

  /**
   * What a new client id continues.
   *
   * @param limits what one request can have carried: of so many operations
   */
  async continues(
    client: string,
    index: number,
    { operations, characters }: { readonly operations: number; readonly characters: number },
  ): Promise<Continues[]> {
    const sent = await this.#store.read(client, index, operations, characters);
    const { tagOf } = await this.verify(client, index, sent);
    const tags = sent.map((_, i) => tagOf(index + i).slice(0, SHORT_TAG)).join("");
    const before = (await this.continuedBy(client)).map((one) => ({
      client: one.client,
      index: one.index + index,
      tags: one.tags.slice(index * SHORT_TAG),
    }));
    return [{ client, index, tags }, ...before.filter((one) => one.tags !== "")];
  }

  /** Reads the operations of an own client id from an index on, decrypted. Throws `StoreDamaged`. */
  async *pages(own: OwnClient, first: number): AsyncGenerator<Page, void, void> {
    const { client } = own;
    let at = first;
    while (at < own.length) {
      const payloads = await this.#store.read(client, at, own.length - at, PAGE_CHARACTERS);
      // They were moved to another client id meanwhile.
      if (payloads.length === 0) return;
      const run = await unlessMoved(own, at, this.#open(client, at, payloads));
      if (run === undefined) return;
      const { operations, refusal } = run;
      if (refusal !== undefined) throw unreadableAt(client, refusal.index);
      at += payloads.length;
      yield { operations, next: at };
    }
  }

  /**
   * Opens stored payloads. Throws `StoreDamaged` unless each is whole.
   *
   * @param before the position before them, if that is not of an operation
   */
  async verify(
    client: string,
    first: number,
    payloads: readonly string[],
    before?: Cursor,
  ): Promise<VerifiedRun> {
    const run = await this.#open(client, first, payloads, before);
    if (run.operations.length === payloads.length && payloads.length > 0) return run;
    const fault = run.refusal ?? run.unreadable[0];
    throw new StoreDamaged(`operation ${fault?.index ?? first} of ${client}: ${fault?.kind}`);
  }

  async #open(
    client: string,
    first: number,
    payloads: readonly string[],
    before?: Cursor,
  ): Promise<VerifiedRun> {
    const lines = payloads.map((payload, i) => ({ client, index: first + i, payload }));
    const cursor = before ?? (await this.cursorAt(client, first - 1));
    return this.#verifier.verify(client, lines, cursor);
  }

  async #verifyOne(client: string, index: number): Promise<VerifiedRun> {
    return this.verify(client, index, await this.#store.read(client, index, 1, 0));
  }

  /** How many entries each operation of a range has; one, where it cannot be read. */
  async countEntries(client: string, first: number, end: number): Promise<number[]> {
    const counts: number[] = [];
    while (first + counts.length < end) {
      const at = first + counts.length;
      const payloads = await this.#store.read(client, at, end - at, PAGE_CHARACTERS);
      if (payloads.length === 0) throw unreadableAt(client, at);
      const { operations } = await this.#open(client, at, payloads);
      const entries = new Map(operations.map(({ index, content }) => [index, content.entries]));
      counts.push(...payloads.map((_, i) => entries.get(at + i)?.length ?? 1));
    }
    return counts;
  }

  /** The session of the operation before an index. A new one takes its place where that does not open. */
  async sessionBefore(client: string, index: number): Promise<Session | undefined> {
    if (index === 0) return undefined;
    try {
      const { cursor } = await this.#verifyOne(client, index - 1);
      return cursor && (await this.sessionOf(cursor));
    } catch (error) {
      if (error instanceof StoreDamaged) return undefined;
      throw error;
    }
  }

  /** The session of an own operation or draft. */
  async sessionOf({ client, session }: Cursor): Promise<Session> {
    const key = await this.#verifier.keyOf(originOf(this.#identity, client), session);
    return { first: session.first, header: undefined, key };
  }

  async #envelope(client: string, index: number): Promise<Envelope> {
    const [payload = ""] = await this.#store.read(client, index, 1, 0);
    const envelope = parseEnvelope(this.#identity, payload);
    if (envelope === undefined) throw unreadableAt(client, index);
    return envelope;
  }
}

/** What is read of an own client id from an index on; `undefined` where it was moved meanwhile. */
export async function unlessMoved<Read>(
  own: OwnClient,
  index: number,
  read: Promise<Read>,
): Promise<Read | undefined> {
  try {
    return await read;
  } catch (error) {
    if (index < own.length) throw error;
    return undefined;
  }
}
