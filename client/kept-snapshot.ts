/** The snapshot that a device keeps: it has begun with it, or found it to stand for what it had. */
import type { Bytes } from "../protocol/bytes.ts";
import type { Line } from "../protocol/types.ts";
import { StoreDamaged } from "./errors.ts";
import type { Covered } from "./operation.ts";
import { lastOf } from "./positions.ts";
import type { Store, StoredSnapshot, StoreState } from "./stores/store.ts";
import type { OperationName } from "./types.ts";
import type { RunVerifier } from "./verify.ts";
import type { Writes } from "./writes.ts";

const NOTHING: Covered = new Map();

/** A snapshot that is the user's, and says what it stands for. */
export interface OpenSnapshot {
  readonly covered: Covered;
  readonly state: Bytes;
}

/** Opens a snapshot without what was before it. `undefined` unless the user has made it, and well. */
export async function openSnapshot(
  verifier: RunVerifier,
  line: Line,
): Promise<OpenSnapshot | undefined> {
  const { operations, cursor } = await verifier.verifySnapshot(line);
  const snapshot = operations[0]?.content.snapshot;
  if (snapshot === undefined || cursor === undefined) return undefined;
  const all = [...snapshot.cursors, cursor];
  return { covered: new Map(all.map((one) => [one.client, one])), state: snapshot.state };
}

/** How many operations a snapshot stands for. */
export function countCovered(covered: Covered = NOTHING): number {
  return [...covered.values()].reduce((sum, { index }) => sum + index + 1, 0);
}

/** The snapshot in a store. */
export class KeptSnapshot {
  readonly #store: Store;
  readonly #verifier: RunVerifier;
  readonly #writes: Writes;
  /** Its name, if there is one. */
  name: StoredSnapshot | undefined;
  /** What it stands for, once that is known. */
  #covered: Covered | undefined;
  /** The length of its payload, once it was opened. */
  characters = 0;

  constructor(store: Store, verifier: RunVerifier, writes: Writes, { snapshot }: StoreState) {
    this.#store = store;
    this.#verifier = verifier;
    this.#writes = writes;
    this.name = snapshot;
  }

  /** What it stands for; nothing as long as it was not opened. */
  get covered(): Covered {
    return this.#covered ?? NOTHING;
  }

  /** Whether it stands for an operation. */
  isCovered({ client, index }: OperationName): boolean {
    return index <= lastOf(this.covered.get(client));
  }

  /** Takes what other tabs have changed in the store. */
  take({ snapshot }: StoreState): void {
    if (!isSame(snapshot, this.name)) this.#set(snapshot);
    this.name = snapshot;
  }

  /** Learns what it stands for, unless that is known. Throws `StoreDamaged` where it cannot be read. */
  async learn(): Promise<void> {
    if (this.name !== undefined && this.#covered === undefined) await this.open();
  }

  /** Reads and opens it. Throws `StoreDamaged`. */
  async open(): Promise<OpenSnapshot> {
    for (;;) {
      const name = this.name;
      const payload = name && (await this.#store.readSnapshot());
      const opened = payload && (await openSnapshot(this.#verifier, { ...name, payload }));
      // Another tab may have put another one in its place, before it was read or after that.
      await this.#writes.refresh();
      if (!isSame(name, this.name)) continue;
      if (!opened) throw new StoreDamaged("the snapshot cannot be read");
      this.#set(this.name, opened.covered, payload.length);
      return opened;
    }
  }

  /** Keeps another one; see `Store.keepSnapshot`. */
  async keep(line: Line, covered: Covered, isLoaded: boolean): Promise<void> {
    const { client, index, payload } = line;
    await this.#writes.run(async () => {
      await this.#store.keepSnapshot({ client, index, payload }, isLoaded);
      this.#set({ client, index, isLoaded }, covered, payload.length);
    });
  }

  /** Keeps none, unless another tab has put another one in the place of the one with a name. */
  async drop(name: StoredSnapshot | undefined): Promise<void> {
    await this.#writes.run(async () => {
      if (!isSame(name, this.name)) return;
      await this.#store.keepSnapshot(undefined, true);
      this.#set(undefined);
    });
  }

  /** As `Store.snapshotLoaded`, unless another tab has put another one in the place of the one with a name. */
  async setLoaded(name: StoredSnapshot | undefined): Promise<void> {
    if (name?.isLoaded !== false) return;
    await this.#writes.run(async () => {
      if (!isSame(name, this.name)) return;
      await this.#store.snapshotLoaded();
      this.name = { ...name, isLoaded: true };
    });
  }

  #set(name: StoredSnapshot | undefined, covered?: Covered, characters = 0): void {
    this.name = name;
    this.#covered = covered;
    this.characters = characters;
  }
}

function isSame(one: OperationName | undefined, other: OperationName | undefined): boolean {
  return one?.client === other?.client && one?.index === other?.index;
}
