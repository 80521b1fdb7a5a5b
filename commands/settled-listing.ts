import { Listing } from "../oplog/listing.ts";
import { ListingLoad, type LoadSource } from "../oplog/listing-load.ts";
import { type Fingerprint, userPrefix } from "../oplog/names.ts";
import type { StorageReader, StoredObject } from "../storage/driver.ts";

export interface Settled {
  readonly listing: Listing;
  /** What it was made of, with the times where the storage has them. */
  readonly objects: readonly StoredObject[];
}

/** A listing of a user whose holes two lists in a row have shown: see `ListingLoad`. */
export async function listSettled(storage: StorageReader, user: Fingerprint): Promise<Settled> {
  let objects: readonly StoredObject[] = [];
  const nothing = () => undefined;
  const source: LoadSource = {
    ask: undefined,
    list: async () => {
      objects = await storage.list(userPrefix(user), true);
      return { listing: await Listing.inSlices(objects), lacks: false };
    },
    complete: (_user, listing) => listing,
    ended: nothing,
    settled: nothing,
  };
  const load = new ListingLoad({ user, order: 0, at: 0, time: 0, took: 0, source });
  const listing = await load.listing;
  return { listing, objects };
}
