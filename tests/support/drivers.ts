import {
  type Driver,
  type PutOptions,
  StorageUnavailable,
  type StoredObject,
} from "../../storage/driver.ts";
import { startDeadline } from "./deadline.ts";

export interface Call {
  readonly kind: "list" | "get" | "put" | "delete";
  /** The object's name, or the prefix. */
  readonly name: string;
}

type Hook = (call: Call) => void | Promise<void>;

/** A driver with hooks before and after each call, to wait, count or fail. */
export class HookedDriver implements Driver {
  before: Hook = () => undefined;
  after: Hook = () => undefined;
  readonly calls: Call[] = [];
  readonly #driver: Driver;

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  /** How many calls of a kind there have been. */
  count(kind: Call["kind"]): number {
    return this.calls.filter((call) => call.kind === kind).length;
  }

  list(prefix: string): Promise<StoredObject[]> {
    return this.#around({ kind: "list", name: prefix }, () => this.#driver.list(prefix));
  }

  get(name: string, size?: number): Promise<Uint8Array> {
    return this.#around({ kind: "get", name }, () => this.#driver.get(name, size));
  }

  put(name: string, body: Uint8Array, options?: PutOptions): Promise<void> {
    return this.#around({ kind: "put", name }, () => this.#driver.put(name, body, options));
  }

  delete(name: string): Promise<void> {
    return this.#around({ kind: "delete", name }, () => this.#driver.delete(name));
  }

  close(): Promise<void> {
    return this.#driver.close();
  }

  /**
   * Holds calls, before they are made or before they return. `held` resolves at the first of them;
   * `go` releases it and all later ones.
   */
  hold(
    moment: "before" | "after",
    matches: (call: Call) => boolean,
  ): { readonly held: Promise<void>; readonly go: () => void } {
    const [reached, released] = [gate(), gate()];
    this[moment] = (call) => {
      if (!matches(call)) return;
      reached.open();
      return released.opened;
    };
    return { held: reached.opened, go: released.open };
  }

  async #around<Result>(call: Call, work: () => Promise<Result>): Promise<Result> {
    this.calls.push(call);
    await this.before(call);
    const result = await work();
    await this.after(call);
    return result;
  }
}

/** Repeats work until storage is available, as a client does. */
export async function untilAvailable<Result>(work: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StorageUnavailable)) throw error;
    }
  }
}

/** A promise, and the function that resolves it. A wait that is too long fails. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  const { lost, end } = startDeadline(() => "a gate was not opened");
  const opened = Promise.race([passed.finally(end), lost]);
  // It may be that nothing waits for it.
  opened.catch(() => undefined);
  return { opened, open };
}
