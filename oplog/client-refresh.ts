import type { Listing } from "./listing.ts";
import { holesIn } from "./listing-load.ts";
import { isShorter } from "./sequence.ts";

/** How often an append or a read lists storage again because its listing turned out to be old. */
export const MAX_LISTS = 5;

/** The cached listing of a user, and how to list the objects of one client. */
export interface RefreshSource {
  /** The listing at this very moment. */
  readonly current: () => Listing | undefined;
  readonly list: () => Promise<Listing>;
  /** Called with the new listing, at once, before the current one can change. */
  readonly replace: (listing: Listing) => void;
}

/**
 * A user's listing, with the objects of one client as storage has them after this call. `undefined` where
 * all of them have to be listed.
 */
export async function refreshClient(
  client: string,
  { current, list, replace }: RefreshSource,
): Promise<Listing | undefined> {
  let holes: string | undefined;
  for (let lists = 0; lists < MAX_LISTS; lists++) {
    const before = current();
    if (before === undefined) return undefined;
    const listed = await list();
    // Where the log was listed or compacted meanwhile, this list may have come too early.
    if (current() !== before) continue;
    const seen = holes;
    holes = holesIn(listed);
    if (holes !== undefined && holes !== seen) continue;
    // Packing takes nothing away: the user was erased, or something is lost.
    if (isShorter(listed.clients.get(client), before.clients.get(client))) return undefined;
    const listing = before.updated(client, listed);
    if (listing !== before) replace(listing);
    return listing;
  }
  return undefined;
}
