/** Devices that pair, and someone who has seen the code of one. */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { createIdentity, type NewIdentity } from "../../client/identity.ts";
import { type Clock, type Entry, SyncClient, type SyncOptions } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { contentOfLink } from "../../client/pairing/link.ts";
import { oneTimeIdentity } from "../../client/pairing/request.ts";
import { KeyOffer, type KeyRequest, PairingFailed } from "../../client/pairing.ts";
import type { Bytes } from "../../protocol/bytes.ts";
import { deriveInFewRounds } from "./few-rounds.ts";
import { generatePreparedKeys } from "./private-keys.ts";

export const PASSPHRASE = "of the old device";

/** Has passphrases take few rounds while a suite runs, which calls this before anything else. */
export function declareFewRounds(): void {
  declareWhileItRuns(deriveInFewRounds);
}

/** The same, with one-time keys that are prepared. */
export function declareCheapKeys(): void {
  declareFewRounds();
  declareWhileItRuns(generatePreparedKeys);
}

/** @param begin returns what ends it */
function declareWhileItRuns(begin: () => () => void): void {
  let end: (() => void) | undefined;
  before(() => {
    end = begin();
  });
  after(() => end?.());
}

/** The key of the old device, for suites with few rounds. */
let made: Promise<NewIdentity> | undefined;
export function madeKey(): Promise<NewIdentity> {
  made ??= createIdentity(PASSPHRASE, { bits: 2048 });
  return made;
}

export async function offerAt(
  url: string,
  options: Partial<Parameters<typeof KeyOffer.open>[0]> = {},
): Promise<KeyOffer> {
  return KeyOffer.open({
    url,
    ...(await madeKey()),
    passphrase: PASSPHRASE,
    heads: [],
    ...options,
  });
}

/** Goes on with a pairing, up to its end. Returns what the new device gets, under its passphrase. */
export async function finishPairing(
  offer: KeyOffer,
  request: KeyRequest,
  passphrase: string,
): Promise<NewIdentity> {
  await offer.answered();
  const confirmed = offer.confirm(await request.code());
  const got = await request.key(passphrase);
  await request.taken();
  await confirmed;
  await Promise.all([offer.close(), request.close()]);
  return got;
}

/** Checks that an error is a pairing that has failed for a reason. */
export const failsBy =
  (...faults: readonly string[]) =>
  (error: unknown): true => {
    assert.ok(error instanceof PairingFailed, String(error));
    assert.ok(faults.includes(error.fault), `${error.fault}: ${error.message}`);
    return true;
  };

/** Another code than this. */
export const otherThan = (code: string) => (code === "000000" ? "000001" : "000000");

/** Someone who has seen the code, and uses the one-time key as they like. */
export class Onlooker {
  /** What others have written. */
  readonly seen: readonly Entry[];
  readonly #client: SyncClient;

  private constructor(client: SyncClient, seen: readonly Entry[]) {
    this.#client = client;
    this.seen = seen;
  }

  static async open(
    link: string,
    options: Partial<Pick<SyncOptions, "url" | "fetch">> = {},
  ): Promise<Onlooker> {
    const { server, primes } = contentOfLink(link);
    const seen: Entry[] = [];
    const client = await SyncClient.open({
      ...{ url: server, identity: await oneTimeIdentity(primes), store: new MemoryStore() },
      receive: (entries, _, isOwn) => {
        if (!isOwn) seen.push(...entries);
      },
      ...options,
    });
    return new Onlooker(client, seen);
  }

  /** Looks at what there is. */
  async look(): Promise<readonly Entry[]> {
    await this.#client.sync();
    return this.seen;
  }

  /** Waits for a message by its first byte. */
  async message(kind: number): Promise<Bytes> {
    for (;;) {
      const found = (await this.look()).find(({ data }) => data[0] === kind);
      if (found !== undefined) return found.data;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async write(data: Bytes): Promise<void> {
    await this.#client.append(data);
    await this.#client.sync();
  }

  erase(): Promise<void> {
    return this.#client.erase();
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}

/** The system's clock, which a test sets ahead. */
export class AheadClock implements Clock {
  #ahead = 0;
  readonly #sleeps = new Set<() => void>();

  now(): number {
    return Date.now() + this.#ahead;
  }

  async sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    const until = this.now() + milliseconds;
    while (this.now() < until && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const end = () => {
          clearTimeout(timer);
          this.#sleeps.delete(end);
          signal.removeEventListener("abort", end);
          resolve();
        };
        const timer = setTimeout(end, Math.min(until - this.now(), 2 ** 31 - 1));
        this.#sleeps.add(end);
        signal.addEventListener("abort", end);
      });
    }
  }

  /** Lets time pass at once. */
  pass(milliseconds: number): void {
    this.#ahead += milliseconds;
    for (const end of [...this.#sleeps]) end();
  }
}
