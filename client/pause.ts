import { LinkedAbort } from "./abort.ts";

/** A pause, or a wait for news: what a client does until it is cut short. */
export class Pause {
  readonly #closing: AbortSignal;
  #current: LinkedAbort | undefined;
  /** Whether it was cut short, or would have been: its user sets it to false. */
  isCut = false;

  /** @param closing ends it as well */
  constructor(closing: AbortSignal) {
    this.#closing = closing;
  }

  /** Does some work, which settles when its signal is aborted. Returns `undefined` then. */
  async during<Result>(
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result | undefined> {
    const current = new LinkedAbort(this.#closing);
    this.#current = current;
    const result = await work(current.signal);
    this.settle();
    current.release();
    return current.signal.aborted ? undefined : result;
  }

  cut(): void {
    this.isCut = true;
    this.#current?.abort();
  }

  /** What is under way is not cut short any more. */
  settle(): void {
    this.#current = undefined;
  }
}
