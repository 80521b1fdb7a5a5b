/** What the driver contract needs to know of a driver, and what each of its tests is given. */
import type { Driver } from "../../../storage/driver.ts";

/** Where the suite may store, and what it may do to it. */
export interface Place {
  /**
   * True, or why this runtime cannot run the driver: the suite is skipped with this reason. Without
   * it, the driver runs on every runtime.
   */
  readonly available?: () => true | string;
  /** Opens it. Called again, it opens the same storage, as another process would. */
  readonly open: () => Promise<Driver>;
  /** How other processes open the same storage, or why none can. */
  readonly processes: Opening | string;
  /** Why another run does what takes thousands of calls; without it, this one does. */
  readonly few?: string;
  /** What breaks the backend, or why nothing can. */
  readonly faults: Faults | string;
  /** Deletes what the suite has stored. */
  readonly remove: () => void | Promise<void>;
}

/** What another process needs to open a storage: `(await import(module))[driver].open(location)`. */
export interface Opening {
  /** The URL of the driver's module. */
  readonly module: string;
  /** The export of the module that has the function `open`. */
  readonly driver: string;
  readonly location: string;
  /** Whether objects are in files of this machine, which survive a power loss only once synced. */
  readonly files: boolean;
}

export interface Faults {
  /** Opens a storage whose backend is not there. */
  readonly openAbsent: () => Promise<Driver>;
  /** Opens a storage that nothing else uses, and that can be broken. */
  readonly openBreakable: () => Promise<Breakable>;
}

export interface Breakable {
  readonly driver: Driver;
  /** From now on every call of the backend fails: the disk is gone, the service answers with 503. */
  readonly breakBackend: () => void | Promise<void>;
  /** The backend is back, with everything that it had. */
  readonly repairBackend: () => void | Promise<void>;
}

/** What a test of the suite is given. */
export interface Subject {
  readonly place: Place;
  readonly driver: Driver;
  /** The names that the driver lists. */
  readonly names: (prefix: string) => Promise<string[]>;
}

/** Declares a test of the suite. */
export type Declare = (title: string, run: (subject: Subject) => Promise<void>) => void;

export function subjectOf(place: Place, driver: Driver): Subject {
  const names = async (prefix: string) => (await driver.list(prefix)).map(({ name }) => name);
  return { place, driver, names };
}

export function text(words: string): Uint8Array {
  return new TextEncoder().encode(words);
}
