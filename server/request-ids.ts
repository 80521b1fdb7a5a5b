import { randomBytes } from "node:crypto";

/** Hexadecimal digits of an id. */
const DIGITS = 16;
/** How many ids the system is asked for at once. */
const AT_ONCE = 512;

/** Makes ids by which an answer and the lines of the log belong together. */
export class RequestIds {
  #digits = "";
  #used = 0;

  /** 16 hexadecimal digits. */
  next(): string {
    if (this.#used === this.#digits.length) {
      this.#digits = randomBytes((DIGITS / 2) * AT_ONCE).toString("hex");
      this.#used = 0;
    }
    const from = this.#used;
    this.#used += DIGITS;
    return this.#digits.slice(from, this.#used);
  }
}
