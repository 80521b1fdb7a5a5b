import { randomBytes } from "node:crypto";

/** Bytes of an id. */
const BYTES = 8;
/** How many ids the system is asked for at once. */
const AT_ONCE = 512;

/** Makes ids by which an answer and the lines of the log belong together. */
export class RequestIds {
  #random = randomBytes(0);
  #used = 0;

  /** 16 hexadecimal digits. */
  next(): string {
    if (this.#used === this.#random.byteLength) {
      this.#random = randomBytes(BYTES * AT_ONCE);
      this.#used = 0;
    }
    const from = this.#used;
    this.#used += BYTES;
    return this.#random.toString("hex", from, this.#used);
  }
}
