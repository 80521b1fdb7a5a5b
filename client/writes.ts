import { SerialQueue } from "./serial-queue.ts";
import type { SharedStore, Store, StoreState } from "./stores/store.ts";

/**
 * The way by which all changes go into a store: one at a time, and after what other tabs have changed
 * was taken over.
 */
export class Writes {
  readonly #shared: SharedStore | undefined;
  readonly #queue = new SerialQueue();
  /** Whether what is known of the store may be wrong. */
  #isStale = false;
  /** Takes what other tabs have changed. */
  onChange: (state: StoreState) => Promise<void> = async () => undefined;

  constructor({ shared }: Pick<Store, "shared">) {
    this.#shared = shared;
  }

  /** Runs a task that changes the store. It must not run another one. */
  run<Result>(task: () => Promise<Result>): Promise<Result> {
    return this.#queue.run(async () => {
      const shared = this.#shared;
      if (shared === undefined) return task();
      return shared.exclusive(async () => {
        if (this.#isStale || (await shared.isChanged())) {
          this.#isStale = true;
          await this.onChange(await shared.reload());
        }
        // What fails may have changed something.
        this.#isStale = true;
        const result = await task();
        this.#isStale = false;
        return result;
      });
    });
  }

  /** Resolves once the changes have ended that wait or run now. */
  async settled(): Promise<void> {
    await this.#queue.run(async () => undefined);
  }

  /** Takes what other tabs have changed. Returns false if they have not. */
  async refresh(): Promise<boolean> {
    if (this.#shared === undefined) return false;
    if (!this.#isStale && !(await this.#shared.isChanged())) return false;
    await this.run(async () => undefined);
    return true;
  }
}
