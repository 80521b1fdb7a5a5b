import { type Driver, StorageUnavailable } from "../../storage/driver.ts";
import { Problem } from "./problems.ts";

/** How long an answer is reused, so that frequent probes cost storage little. */
const KEPT_FOR_MS = 1000;

/** Checks whether storage answers. */
export class Readiness {
  readonly #driver: Driver;
  readonly #onFailure: (error: unknown) => void;
  readonly #now: () => number;
  #outcome: Promise<void> | undefined;
  #askedAt = 0;

  /**
   * @param now milliseconds of a clock that never goes back
   * @param onFailure called when storage was asked and did not answer
   */
  constructor(driver: Driver, now: () => number, onFailure: (error: unknown) => void) {
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
      await this.#driver.list("ready.");
    } catch (error) {
      this.#onFailure(error);
      if (!(error instanceof StorageUnavailable)) throw error;
      throw new Problem("storage-unavailable", `Storage is not ready: ${error.reason}.`);
    }
  }
}
