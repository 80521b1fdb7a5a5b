import type { Step, Version } from "../cluster/cluster.ts";
import type { Listing } from "./listing.ts";

/** A change of a log that was announced. */
export interface AnnouncedChange extends Step {
  /** The listing with the change; `undefined` where the log has to be listed. */
  readonly apply: (listing: Listing) => Listing | undefined;
}

/** How many versions are remembered. A request asks for one, and others may come before it goes on. */
const REMEMBERED = 8;

/**
 * The versions of a log that a listing has had: announcements take it from one to the next. None where
 * there is no cluster, or where an announcement was missed.
 */
export class Versions {
  readonly #versions: Version[];

  constructor(first: Version | undefined) {
    this.#versions = first === undefined ? [] : [first];
  }

  get last(): Version | undefined {
    return this.#versions.at(-1);
  }

  /** Whether the listing shows all that was announced by a version. */
  includes(version: Version): boolean {
    return this.#versions.lastIndexOf(version) !== -1;
  }

  /** Whether a step goes on from here. */
  precedes({ before }: Step): boolean {
    return before === this.last;
  }

  /** Goes on by a step from the last version. */
  step({ after }: Step): void {
    this.#versions.push(after);
    if (this.#versions.length > REMEMBERED) this.#versions.shift();
  }

  /**
   * The listing of the last version, with a change that was announced. `undefined`, and no version is
   * known any more, where the log has to be listed: the change does not say enough, or one before it was
   * missed.
   */
  apply(listing: Listing, change: AnnouncedChange): Listing | undefined {
    // This server's own changes come twice.
    if (!this.precedes(change) && this.includes(change.after)) return listing;
    const changed = this.precedes(change) ? change.apply(listing) : undefined;
    if (changed === undefined) this.#versions.length = 0;
    else this.step(change);
    return changed;
  }
}
