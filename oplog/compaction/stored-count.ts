import type { StoredObject } from "../../storage/driver.ts";
import type { Telemetry } from "../telemetry.ts";

/** Counts what is stored of all users, part by part. */
export class StoredCount {
  #users = 0;
  #objects = 0;
  #bytes = 0;

  /** Adds a part of the storage that was listed whole: the objects of each of its users. */
  add(users: ReadonlyMap<string, readonly StoredObject[]>): void {
    this.#users += users.size;
    for (const objects of users.values()) {
      this.#objects += objects.length;
      for (const { size } of objects) this.#bytes += size;
    }
  }

  /** What was added so far. */
  get totals(): { readonly users: number; readonly objects: number; readonly bytes: number } {
    return { users: this.#users, objects: this.#objects, bytes: this.#bytes };
  }

  /** Reports it, once all parts were added. */
  report(telemetry: Telemetry, counted = Date.now() / 1000): void {
    telemetry.observe("stored_users", () => this.#users);
    telemetry.observe("stored_objects", () => this.#objects);
    telemetry.observe("stored_bytes", () => this.#bytes);
    telemetry.observe("stored_counted", () => counted);
  }
}
