import type { Version } from "../cluster/cluster.ts";
import type { Driver } from "../storage/driver.ts";
import type { DamagedObjects } from "./damaged-objects.ts";
import type { ListingAgesOptions } from "./listing-age.ts";
import type { ListingListeners } from "./listing-listeners.ts";
import type { Fingerprint } from "./names.ts";
import type { Telemetry } from "./telemetry.ts";

/** With a `ttl` of 0 a cached listing is never served, with Infinity always. */
export interface ListingCacheOptions extends ListingAgesOptions {
  readonly driver: Driver;
  /** How many runs are cached, over all users; users and clients count as some more (`sizeInRuns`). */
  readonly maxRuns: number;
  /** Objects that count as missing. */
  readonly damaged?: DamagedObjects;
  /** The version of a log now, as all servers on this storage have it; absent for a lone server. */
  readonly version?: ((user: Fingerprint) => Promise<Version | undefined>) | undefined;
  readonly listeners?: ListingListeners;
  readonly telemetry: Telemetry;
}
