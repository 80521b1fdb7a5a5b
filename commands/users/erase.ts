import { ListingCache } from "../../oplog/listing-cache.ts";
import type { Fingerprint } from "../../oplog/names.ts";
import { ObjectCache } from "../../oplog/object-cache.ts";
import { NO_TELEMETRY, type Telemetry } from "../../oplog/telemetry.ts";
import type { Driver } from "../../storage/driver.ts";
import { Erasures } from "../../sync/erasure.ts";

/**
 * Erases a user as `DELETE /sync` does: stores the tombstone, and deletes all else. False where nothing
 * is stored of the user, of whom then nothing is.
 *
 * @param onDeleted called for each object that is deleted
 */
export async function eraseFrom(
  driver: Driver,
  user: Fingerprint,
  onDeleted: () => void,
): Promise<boolean> {
  const now = () => performance.now();
  const telemetry: Telemetry = {
    ...NO_TELEMETRY,
    count: (counter) => counter === "erased_objects" && onDeleted(),
  };
  const listings = new ListingCache({ driver, ttl: 0, maxRuns: 1, now, telemetry });
  const erasures = new Erasures({
    ...{ driver, listings, telemetry },
    objects: new ObjectCache({ driver, maxBytes: 0, telemetry }),
    time: Date.now,
    onFailure: (_, error) => {
      throw error;
    },
  });
  if (!(await erasures.hasStored(user))) return false;
  await erasures.erase(user);
  return true;
}
