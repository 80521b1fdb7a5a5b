/** Of what is wrong in a round, so much is printed: the first shows the cause. */
const PRINTED = 8;

/** What is counted, and what was wrong. */
export class Report {
  /** What was wrong, each with the time and the last faults. */
  readonly faults: string[] = [];
  readonly #events: string[] = [];
  readonly #began = performance.now();
  readonly #counts = { appends: 0, reads: 0, exact: 0, waits: 0 };
  readonly #print: (line: string) => void;
  #longestRead = { took: 0, server: "", at: "", event: "" };
  #longestAppend = 0;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  /** Records what happens to the servers. */
  event(text: string): void {
    this.#events.push(`${this.#time()} ${text}`);
  }

  fault(text: string): void {
    const fault = `${this.#time()} ${text}; before: ${this.#events.slice(-6).join(", ")}`;
    this.faults.push(fault);
    if (this.faults.length <= PRINTED) this.#print(`WRONG: ${fault}`);
  }

  /** Prints what helps to understand. */
  note(text: string): void {
    this.#print(text);
  }

  appended(took: number): void {
    this.#counts.appends++;
    this.#longestAppend = Math.max(this.#longestAppend, took);
  }

  polled(isExact: boolean, took: number, server: string): void {
    this.#counts.reads++;
    if (isExact) this.#counts.exact++;
    if (took <= this.#longestRead.took) return;
    this.#longestRead = { took, server, at: this.#time(), event: this.#events.at(-1) ?? "" };
  }

  waited(isExact: boolean): void {
    this.#counts.waits++;
    if (isExact) this.#counts.exact++;
  }

  /** How long the longest poll took, in milliseconds. */
  get longestRead(): number {
    return this.#longestRead.took;
  }

  /** How many reads had to show all that was acknowledged before. */
  get exact(): number {
    return this.#counts.exact;
  }

  progress(): void {
    const { appends, reads, exact, waits } = this.#counts;
    const { took, server, at, event } = this.#longestRead;
    this.#print(
      `${this.#time()} ${this.#events.at(-1) ?? ""}: ${appends} appends (longest ${Math.round(this.#longestAppend)} ms), ${reads} polls and ${waits} waits checked, ${exact} of them exactly; longest poll ${Math.round(took)} ms (server ${server} at ${at}, ${event})`,
    );
  }

  #time(): string {
    return `${((performance.now() - this.#began) / 1000).toFixed(1)} s`;
  }
}
