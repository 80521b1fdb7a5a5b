import {
  type Driver,
  ObjectMissing,
  StorageUnavailable,
  type StoredObject,
} from "../../../storage/driver.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

export interface StorageOptions {
  /** The probability that a call fails before its work, and again after it. */
  readonly faults: number;
  /** The probability that a put or a delete fails, and is done at some later time. */
  readonly late: number;
  /** How many objects a list shows at one instant. */
  readonly page: number;
}

/**
 * A storage that several processes share. Each call waits for a turn before its work, between the
 * pages of a list, and before its answer.
 */
export class SimulatedStorage {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #options: StorageOptions;
  readonly #objects = new Map<string, Uint8Array>();
  /** Puts that failed for their caller, or never ended for it, and were done later. */
  readonly late: StoredObject[] = [];
  /** False once every call works. */
  faulty = true;

  constructor(scheduler: Scheduler, random: Random, options: StorageOptions) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#options = options;
  }

  /** How long the longest list has taken. */
  longestList = 0;

  /** What is stored, in byte order of names. */
  get stored(): StoredObject[] {
    return [...this.#objects]
      .map(([name, body]) => ({ name, size: body.byteLength }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The storage as one process sees it, for as long as that lives. */
  driverOf(process: { readonly alive: boolean }): Driver {
    return {
      list: async (prefix) => {
        const { now } = this.#scheduler;
        const objects = await this.#call(process, () => this.#list(prefix));
        this.longestList = Math.max(this.longestList, this.#scheduler.now - now);
        return objects;
      },
      get: (name) =>
        this.#call(process, async () => {
          const body = this.#objects.get(name);
          if (body === undefined) throw new ObjectMissing(name);
          return body;
        }),
      put: (name, body) =>
        this.#change(process, (late) => {
          if (late) this.late.push({ name, size: body.byteLength });
          if (!this.#objects.has(name)) this.#objects.set(name, Uint8Array.from(body));
        }),
      delete: (name) => this.#change(process, () => this.#objects.delete(name)),
      close: async () => undefined,
    };
  }

  async #list(prefix: string): Promise<StoredObject[]> {
    const found: StoredObject[] = [];
    for (;;) {
      const last = found.at(-1)?.name ?? "";
      const rest = this.stored.filter(({ name }) => name.startsWith(prefix) && name > last);
      found.push(...rest.slice(0, this.#options.page));
      if (rest.length <= this.#options.page) return found;
      await this.#scheduler.turn();
    }
  }

  async #change(process: { readonly alive: boolean }, work: (late: boolean) => void) {
    const { late } = this.#options;
    if (this.faulty && this.#random.chance(late)) {
      this.#later(work);
      await this.#scheduler.turn();
      if (!process.alive) await never();
      throw new StorageUnavailable("no answer in time");
    }
    await this.#call(
      process,
      async () => work(false),
      () => work(true),
    );
  }

  #later(work: (late: boolean) => void): void {
    const wait = async () => {
      for (let turns = this.#random.between(0, 20); turns >= 0; turns--) {
        await this.#scheduler.turn();
      }
      work(true);
    };
    wait().catch(() => undefined);
  }

  async #call<Result>(
    process: { readonly alive: boolean },
    work: () => Promise<Result>,
    afterDeath: () => void = () => undefined,
  ): Promise<Result> {
    await this.#scheduler.turn();
    if (!process.alive) {
      // The request may have left the process before it died.
      if (this.#random.chance(0.5)) afterDeath();
      return never();
    }
    this.#mayFail("before its work");
    const result = await work();
    await this.#scheduler.turn();
    if (!process.alive) return never();
    this.#mayFail("after its work");
    return result;
  }

  #mayFail(when: string): void {
    if (this.faulty && this.#random.chance(this.#options.faults))
      throw new StorageUnavailable(when);
  }
}

/** What a dead process waits for. */
function never(): Promise<never> {
  return new Promise(() => undefined);
}
