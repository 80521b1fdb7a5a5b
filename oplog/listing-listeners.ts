import type { Listing } from "./listing.ts";
import type { Fingerprint } from "./names.ts";

type LoadListener = (user: Fingerprint, listing: Listing) => void;
type NewsListener = (user: Fingerprint) => void;

/** What the listing cache calls. Made before it, because the listeners use the cache. */
export class ListingListeners {
  readonly #load: LoadListener[] = [];
  readonly #news: NewsListener[] = [];

  /** Adds a listener for every listing that was loaded from storage. */
  onLoad(listener: LoadListener): void {
    this.#load.push(listener);
  }

  /**
   * Adds a listener for a user whose listing shows more than before, or may, from this moment on: what this
   * process has stored, or a list or an announcement of another process's.
   */
  onNews(listener: NewsListener): void {
    this.#news.push(listener);
  }

  loaded(user: Fingerprint, listing: Listing): void {
    for (const listener of this.#load) listener(user, listing);
  }

  news(user: Fingerprint): void {
    for (const listener of this.#news) listener(user);
  }
}
