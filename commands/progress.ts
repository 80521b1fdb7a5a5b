/** Shows on a terminal how far a command has come. */
import { setInterval } from "node:timers";

/** What takes less than this shows no progress. */
const AFTER_MS = 1000;
const EVERY_MS = 250;

/** A line on standard error that is written over, if that is a terminal. */
export class Progress {
  readonly #isTerminal = process.stderr.isTTY === true;
  readonly #since = performance.now();
  #timer: ReturnType<typeof setInterval> | undefined;
  #isShown = false;

  /** @param text how far it has come, asked for again and again until `end` */
  begin(text: () => string): void {
    if (!this.#isTerminal) return;
    this.#timer = setInterval(() => {
      if (performance.now() - this.#since < AFTER_MS) return;
      const width = process.stderr.columns || 80;
      process.stderr.write(`\r\x1b[K${text().slice(0, width - 1)}`);
      this.#isShown = true;
    }, EVERY_MS);
    this.#timer.unref();
  }

  /** Takes the line away, until the next is due. */
  clear(): void {
    if (this.#isShown) process.stderr.write("\r\x1b[K");
    this.#isShown = false;
  }

  end(): void {
    clearInterval(this.#timer);
    this.clear();
  }
}
