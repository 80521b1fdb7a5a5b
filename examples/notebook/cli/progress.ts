/** How often a line is printed where there is no terminal to rewrite one on. */
const STEP = 250;

/** Tells on standard error how far a long transfer is. */
export class Progress {
  readonly #verb: string;
  readonly #terminal = process.stderr.isTTY === true;
  #shown = 0;

  /** @param verb such as `sent` or `received` */
  constructor(verb: string) {
    this.#verb = verb;
  }

  /** @param total where it is known */
  show(count: number, total?: number): void {
    const enough = this.#terminal ? count > this.#shown : count >= this.#shown + STEP;
    if (!enough) return;
    this.#shown = count;
    const line = `${this.#verb} ${count}${total === undefined ? "" : ` of ${total}`}`;
    process.stderr.write(this.#terminal ? `\r\x1b[K${line}` : `${line}\n`);
  }

  /** Leaves the terminal as it was. */
  end(): void {
    if (this.#terminal && this.#shown > 0) process.stderr.write("\r\x1b[K");
  }
}
