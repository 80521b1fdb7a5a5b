import { ListingCache } from "../../oplog/listing-cache.ts";
import type { Fingerprint } from "../../oplog/names.ts";
import { ObjectCache } from "../../oplog/object-cache.ts";
import { NO_TELEMETRY } from "../../oplog/telemetry.ts";
import type { Driver } from "../../storage/driver.ts";
import { Erasures } from "../../sync/erasure.ts";

/**
 * Erases a user as `DELETE /sync` does: stores the tombstone, and deletes all else. False where nothing
 * is stored of the user, of whom then nothing is.
 */
export async function eraseFrom(driver: Driver, user: Fingerprint): Promise<boolean> {
  const now = () => performance.now();
  const telemetry = NO_TELEMETRY;
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
