/**
 * Sends pieces of work in batches: while one is on its way, the next is collected, so that many at once
 * cost little more than one.
 */
export class Batches<Item, Result> {
  readonly #send: (items: readonly Item[]) => Promise<readonly Result[] | undefined>;
  readonly #most: number;
  #waiting: { readonly item: Item; readonly resolve: (result: Result | undefined) => void }[] = [];
  #isSending = false;

  /**
   * @param send resolves to a result for each item, in their order, or to `undefined` where there is none
   * @param most how many items a batch has at most
   */
  constructor(
    send: (items: readonly Item[]) => Promise<readonly Result[] | undefined>,
    most: number,
  ) {
    this.#send = send;
    this.#most = most;
  }

  add(item: Item): Promise<Result | undefined> {
    return new Promise((resolve) => {
      this.#waiting.push({ item, resolve });
      if (!this.#isSending) void this.#sendAll();
    });
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#most);
      const results = await this.#send(batch.map(({ item }) => item));
      for (const [i, { resolve }] of batch.entries()) resolve(results?.[i]);
    }
    this.#isSending = false;
  }
}
