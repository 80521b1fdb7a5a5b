import { HttpProcess, LISTENING, launch } from "./process.ts";
import type { StorageRequests } from "./result.ts";
import type { Runtime } from "./runtimes.ts";

/** Settings without the limits that a load would meet. */
export const NO_LIMITS = { RATE_LIMIT: "0", NEW_USERS_PER_HOUR: "0", QUOTA_BYTES: "0" };

/** Counters of a server, from `GET /metrics`. */
export interface Counters extends StorageRequests {
  /** Listings loaded from storage so far. */
  readonly listingLoads: number;
  /** Runs in the listing cache now. */
  readonly cachedRuns: number;
}

/**
 * Starts a server on a free port of loopback.
 *
 * @param folder a checkout of any version; this one unless given
 */
export async function startServer(
  runtime: Runtime,
  settings: Readonly<Record<string, string>>,
  folder?: string,
): Promise<ServerProcess> {
  const environment = { HOST: "127.0.0.1", PORT: "0", ...settings };
  const ready = LISTENING;
  return new ServerProcess(
    await launch({ runtime, file: "server.ts", environment, folder, ready }),
  );
}

export class ServerProcess extends HttpProcess {
  /** The value of one metric, by its name and labels; `NaN` where there is none. */
  async metric(name: string): Promise<number> {
    return (await this.#metrics()).get(name) ?? Number.NaN;
  }

  async #metrics(): Promise<ReadonlyMap<string, number>> {
    const response = await fetch(new URL("/metrics", this.url));
    const lines = (await response.text()).split("\n").map((line) => line.split(" "));
    return new Map(lines.map(([name = "", value]) => [name, Number(value)]));
  }

  async counters(): Promise<Counters> {
    const values = await this.#metrics();
    const storage = (kind: string) =>
      values.get(`sync_storage_requests_total{kind="${kind}"}`) ?? 0;
    return {
      list: storage("list"),
      get: storage("get"),
      put: storage("put"),
      delete: storage("delete"),
      listingLoads: values.get('sync_listing_cache_total{event="load"}') ?? 0,
      cachedRuns: values.get("sync_listing_cache_runs") ?? 0,
    };
  }
}
