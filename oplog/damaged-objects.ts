import { lruOf } from "../storage/lru.ts";
import { filterInSlices } from "../storage/slices.ts";
import type { Fingerprint } from "./names.ts";
import type { ObjectDamaged } from "./object-cache.ts";
import type { Telemetry } from "./telemetry.ts";

export interface DamagedObjectsOptions {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Called when an object is found damaged that did not count as that. */
  readonly onFound?: (user: Fingerprint, error: ObjectDamaged) => void;
  readonly telemetry: Telemetry;
}

/** How many objects are remembered. */
const REMEMBERED = 10_000;

/** After this time an object is tried again: it may have been restored from a backup. */
export const RETRY_AFTER_MS = 600_000;

/**
 * Objects whose bytes are not what their names promise. For a while each counts as missing: readers
 * get what lies before it, and its owner is asked to send it again, as with a hole.
 */
export class DamagedObjects {
  readonly #options: DamagedObjectsOptions;
  /** By name, when each was found. */
  readonly #found = lruOf<string, number>(REMEMBERED);

  constructor(options: DamagedObjectsOptions) {
    this.#options = options;
  }

  /** Records that an object of a user cannot be used. */
  add(user: Fingerprint, error: ObjectDamaged): void {
    const { now, onFound, telemetry } = this.#options;
    const known = this.has(error.object);
    this.#found.set(error.object, now());
    if (known) return;
    telemetry.count("log_damage", "damaged");
    onFound?.(user, error);
  }

  has(name: string): boolean {
    const at = this.#found.get(name);
    return at !== undefined && this.#options.now() - at < RETRY_AFTER_MS;
  }

  /** True while no object counts as missing. */
  get isEmpty(): boolean {
    return this.#found.size === 0;
  }

  /** Records that an object was stored again. */
  replaced(name: string): void {
    this.#found.delete(name);
  }

  /** The objects of a list that do not count as missing. */
  async without<Listed extends { readonly name: string }>(
    objects: readonly Listed[],
  ): Promise<readonly Listed[]> {
    return this.isEmpty ? objects : filterInSlices(objects, ({ name }) => !this.has(name));
  }
}
