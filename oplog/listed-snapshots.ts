import type { StoredObject } from "../storage/driver.ts";
import {
  type FloorName,
  formatSnapshot,
  parseFloor,
  parseSnapshot,
  type SnapshotName,
} from "./names.ts";

/** The marker of a snapshot. */
export interface ListedSnapshot extends SnapshotName {
  /** The size of its body in bytes. */
  readonly size: number;
}

/** The snapshots and the floors that a list of a log shows. */
export class ListedSnapshots {
  readonly #snapshots: ListedSnapshot[] = [];
  readonly #floors: FloorName[] = [];

  /** In the order in which they were stored. */
  get snapshots(): readonly ListedSnapshot[] {
    return this.#snapshots;
  }

  /** A client may have several, of which the highest counts. */
  get floors(): readonly FloorName[] {
    return this.#floors;
  }

  /** How many objects they are. */
  get count(): number {
    return this.#snapshots.length + this.#floors.length;
  }

  /** The size of the bodies together. */
  get bytes(): number {
    return this.#snapshots.reduce((sum, { size }) => sum + size, 0);
  }

  /** Takes the next object in byte order of names; false for one of another kind. */
  take({ name, size }: StoredObject): boolean {
    const snapshot = parseSnapshot(name);
    if (snapshot !== undefined) {
      this.#snapshots.push({ ...snapshot, size });
      return true;
    }
    const floor = parseFloor(name);
    if (floor !== undefined) this.#floors.push(floor);
    return floor !== undefined;
  }

  /** These, and a snapshot that was stored since. */
  with(snapshot: ListedSnapshot): ListedSnapshots {
    const nameOf = new Map(this.#snapshots.map((other) => [formatSnapshot(other), other]));
    nameOf.set(formatSnapshot(snapshot), snapshot);
    const changed = new ListedSnapshots();
    changed.#floors.push(...this.#floors);
    for (const name of [...nameOf.keys()].sort()) {
      const other = nameOf.get(name);
      if (other !== undefined) changed.#snapshots.push(other);
    }
    return changed;
  }
}
