import { type Driver, StorageUnavailable } from "../../storage/driver.ts";
import { Problem } from "./problems.ts";

/** How long an answer is kept: asking costs the server next to nothing, however often. */
const KEPT_FOR_MS = 1000;

/** Tells whether storage answers. */
export class Readiness {
  readonly #driver: Driver;
  readonly #onFailure: (error: unknown) => void;
  readonly #now: () => number;
  #outcome: Promise<void> | undefined;
  #askedAt = 0;

  /**
   * @param now milliseconds of a clock that never goes back
   * @param onFailure told when storage was asked and did not answer
   */
  constructor(driver: Driver, now: () => number, onFailure: (error: unknown) => void) {
    this.#driver = driver;
    this.#onFailure = onFailure;
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
      this.#onFailure(error);
      if (!(error instanceof StorageUnavailable)) throw error;
      throw new Problem("storage-unavailable", `Storage is not ready: ${error.reason}.`);
    }
  }
}
