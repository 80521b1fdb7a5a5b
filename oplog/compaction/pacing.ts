import { setImmediate as turn } from "node:timers/promises";
import type { Fingerprint } from "../names.ts";

/**
 * When compaction goes on, so that requests go first: in a moment without requests. Where storage is
 * crowded, which fills faster than that would empty it, one piece of work is done in each turn of the
 * event loop instead.
 */
export class Pacing {
  readonly #untilIdle: () => Promise<void>;
  /** The logs that storage asks for and that have not been packed since. */
  readonly #crowded = new Set<Fingerprint>();
  /** The turn that the last piece of work waits for. */
  #turn: Promise<void> = Promise.resolve();

  /** @param untilIdle resolves in a moment without requests, or after a while */
  constructor(untilIdle: () => Promise<void>) {
    this.#untilIdle = untilIdle;
  }

  crowded(user: Fingerprint): void {
    this.#crowded.add(user);
  }

  relieved(user: Fingerprint): void {
    this.#crowded.delete(user);
  }

  /** Waited for before each piece of work. */
  async pause(): Promise<void> {
    if (this.#crowded.size === 0) return this.#untilIdle();
    this.#turn = this.#turn.then(() => turn());
    await this.#turn;
  }
}
