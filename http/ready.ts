import type { Logger } from "../logger.ts";
import { type Driver, StorageUnavailable } from "../storage/driver.ts";
import { storageNotReady } from "./errors.ts";

/** How long an answer is kept: asking costs the server next to nothing, however often. */
const KEPT_FOR_MS = 1000;

/** Tells whether storage answers. */
export class Readiness {
  readonly #driver: Driver;
  readonly #logger: Logger;
  readonly #now: () => number;
  #outcome: Promise<void> | undefined;
  #askedAt = 0;

  /** @param now milliseconds of a clock that never goes back */
  constructor(driver: Driver, logger: Logger, now: () => number) {
    this.#driver = driver;
    this.#logger = logger;
    this.#now = now;
  }

  /** Throws a `Problem` that says what is wrong, in words for everybody. */
  check(): Promise<void> {
    if (this.#outcome === undefined || this.#now() - this.#askedAt > KEPT_FOR_MS) {
      this.#askedAt = this.#now();
      this.#outcome = this.#ask();
    }
    return this.#outcome;
  }

  async #ask(): Promise<void> {
    try {
      await this.#driver.list("ready.");
    } catch (error) {
      this.#logger.error("storage is not ready", { error });
      throw error instanceof StorageUnavailable ? storageNotReady(error.reason) : error;
    }
  }
}
