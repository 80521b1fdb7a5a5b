import { StorageUnavailable } from "../../storage/driver.ts";
import type { InstrumentedDriver } from "../../storage/instrumented.ts";
import { Problem } from "./problems.ts";

/** How long an answer is reused, so that frequent probes cost storage little. */
const KEPT_FOR_MS = 1000;

/** Checks whether storage answers, and takes new objects. */
export class Readiness {
  readonly #driver: InstrumentedDriver;
  readonly #onFailure: (error: unknown) => void;
  readonly #now: () => number;
  #outcome: Promise<void> | undefined;
  #askedAt = 0;

  /**
   * @param now milliseconds of a clock that never goes back
   * @param onFailure called when storage was asked and is not ready
   */
  constructor(driver: InstrumentedDriver, now: () => number, onFailure: (error: unknown) => void) {
    this.#driver = driver;
    this.#onFailure = onFailure;
    this.#now = now;
  }

  /** Throws a `Problem` whose detail reveals nothing of the inside. */
  check(): Promise<void> {
    if (this.#outcome === undefined || this.#now() - this.#askedAt > KEPT_FOR_MS) {
      this.#askedAt = this.#now();
      this.#outcome = this.#ask();
    }
    return this.#outcome;
  }

  async #ask(): Promise<void> {
    try {
      await this.#driver.check();
    } catch (error) {
      this.#onFailure(error);
      if (!(error instanceof StorageUnavailable)) throw error;
      throw new Problem("storage-unavailable", `Storage is not ready: ${error.reason}.`);
    }
  }
}
