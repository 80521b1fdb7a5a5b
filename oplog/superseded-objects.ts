import { LRUCache } from "lru-cache";
import type { Listing } from "./listing.ts";
import type { Fingerprint } from "./names.ts";
import type { Run } from "./sequence.ts";

/** Runs of a client that are superseded, and the runs that hold each of their payloads as well. */
export interface Superseded {
  readonly client: string;
  readonly runs: readonly Run[];
  readonly by: readonly Run[];
}

/** The run that alone holds all operations of a superseded one, where there is one. */
export function holderOf(run: Run, by: readonly Run[]): Run | undefined {
  return by.find(({ first, last }) => first <= run.first && run.last <= last);
}

/** What was superseded at one time. */
interface SupersededBatch extends Superseded {
  /** When the objects may be deleted. */
  readonly due: number;
  /** Whether the last list of the user had all objects that supersede these. */
  valid: boolean;
}

/** How many objects are remembered. What is forgotten is found again by the next listing. */
const REMEMBERED = 500_000;

/**
 * Superseded objects that stay in storage for a while, so that a copy of the storage that is under
 * way finds each operation in one object or the other. Until they are deleted, listings lack them.
 *
 * This is a cache of what the contents of objects have shown. A process that starts, or that has
 * forgotten a batch, sees overlaps in its listings, and compaction resolves them anew.
 */
export class SupersededObjects {
  readonly #users = new LRUCache<Fingerprint, readonly SupersededBatch[]>({
    maxSize: REMEMBERED,
    sizeCalculation: (batches) => 1 + batches.reduce((sum, { runs }) => sum + runs.length, 0),
  });

  /** How many objects are remembered. */
  get count(): number {
    return this.#users.calculatedSize - this.#users.size;
  }

  /** Whether nothing is remembered. */
  get isEmpty(): boolean {
    return this.#users.size === 0;
  }

  /** Records what was superseded, and when it may be deleted. */
  add(user: Fingerprint, superseded: readonly Superseded[], due: number): void {
    const batches = superseded.map((some) => ({ ...some, due, valid: true }));
    this.#set(user, [...(this.#users.get(user) ?? []), ...batches]);
  }

  /**
   * A listing from storage without the runs that are superseded, as far as it has all runs that
   * supersede them: where one was lost or damaged, what it superseded is needed.
   *
   * @param client the client that the listing is of; all of them by default
   */
  without(user: Fingerprint, listing: Listing, client?: string): Listing {
    const hidden = new Map<string, Run[]>();
    for (const batch of this.#users.get(user) ?? []) {
      if (client !== undefined && batch.client !== client) continue;
      batch.valid = batch.by.every((run) => listing.has({ user, client: batch.client, ...run }));
      if (!batch.valid) continue;
      const runs = hidden.get(batch.client) ?? [];
      for (const run of batch.runs) runs.push(run);
      hidden.set(batch.client, runs);
    }
    return listing.without(hidden);
  }

  /** The users who have objects that may be deleted by now. */
  dueUsers(now: number): Fingerprint[] {
    const isDue = (batches: readonly SupersededBatch[]) => batches.some(({ due }) => due <= now);
    return [...this.#users].filter(([, batches]) => isDue(batches)).map(([user]) => user);
  }

  /** True when a user has objects that may be deleted by now. */
  isDue(user: Fingerprint, now: number): boolean {
    return this.#users.peek(user)?.some(({ due }) => due <= now) ?? false;
  }

  /**
   * Takes what may be deleted of a user by now, by the last list: it is forgotten here, and so is
   * what was due and is needed again.
   */
  takeDue(user: Fingerprint, now: number): readonly Superseded[] {
    const batches = this.#users.get(user) ?? [];
    this.#set(
      user,
      batches.filter(({ due }) => due > now),
    );
    return batches.filter(({ due, valid }) => due <= now && valid);
  }

  #set(user: Fingerprint, batches: readonly SupersededBatch[]): void {
    if (batches.length > 0) this.#users.set(user, batches);
    else this.#users.delete(user);
  }
}
