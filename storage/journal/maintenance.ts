import { setInterval } from "node:timers";

const EVERY_MS = 10_000;

/** Does work from time to time, and reports an error once, until the work succeeds again. */
export class Maintenance {
  readonly #work: () => Promise<void>;
  readonly #onError: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #lastError: string | undefined;

  constructor(work: () => Promise<void>, onError: (error: unknown) => void) {
    this.#work = work;
    this.#onError = onError;
  }

  /** Does the work every ten seconds until `stop`. Does not keep the process running. */
  start(): void {
    this.#timer ??= setInterval(() => void this.run(), EVERY_MS).unref();
  }

  /** Does the work now; calls meanwhile share it. */
  run(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Resolves once no work is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  report(error: unknown): void {
    const said = String(error);
    if (said !== this.#lastError) this.#onError(error);
    this.#lastError = said;
  }

  async #run(): Promise<void> {
    try {
      await this.#work();
      this.#lastError = undefined;
    } catch (error) {
      this.report(error);
    }
  }
}
