/** A server of a cluster without HTTP and without Redis. */
import type { Cluster } from "../../cluster/cluster.ts";
import type { Fingerprint } from "../../oplog/names.ts";
import { NO_TELEMETRY } from "../../oplog/telemetry.ts";
import { readConfig } from "../../server/config.ts";
import { createLogger } from "../../server/logger.ts";
import { wireService } from "../../server/service-wiring.ts";
import { StorageUnavailable } from "../../storage/driver.ts";
import type { MemoryDriver } from "../../storage/memory.ts";
import type { SyncResult } from "../../sync/service.ts";
import { MANUAL_TIMING } from "../support/compaction-timing.ts";
import { HookedDriver } from "../support/drivers.ts";
import type { Operation } from "../support/http.ts";
import { newClient } from "../support/users.ts";

const BUDGET = {
  tryReserve: () => true,
  reserve: async () => undefined,
  free: () => undefined,
};

export type Server = ReturnType<typeof serverOn>;

/** A server on a storage, and the indexes that it shows of a user. */
export function serverOn(
  storage: MemoryDriver,
  cluster: Cluster,
  settings: Readonly<Record<string, string>> = {},
  now: () => number = () => 0,
) {
  const driver = new HookedDriver(storage);
  const { service, compaction, announcer } = wireService({
    config: readConfig({
      RATE_LIMIT: "0",
      NEW_USERS_PER_HOUR: "0",
      LISTING_TTL: "1h",
      ...settings,
    }),
    driver,
    cluster,
    now,
    time: now,
    logger: createLogger("silent"),
    compaction: {
      limits: { operations: 4 },
      timing: MANUAL_TIMING,
    },
    telemetry: NO_TELEMETRY,
    pause: async () => undefined,
    pauseClaims: async () => undefined,
  });
  const request = (user: Fingerprint) => ({
    user,
    client: newClient(),
    versionVector: new Map<string, number>(),
    key: { fingerprint: user, spki: new Uint8Array() },
  });
  const context = (signed = false, address = "192.0.2.1") => ({
    address,
    bytes: 1,
    signed,
    budget: BUDGET,
  });
  return {
    driver,
    compaction,
    get isSettled() {
      return announcer?.isSettled;
    },
    append: (
      user: Fingerprint,
      client: string,
      first: number,
      { payloads = [`${first}`], address = "192.0.2.1" } = {},
    ) =>
      service.sync(
        { ...request(user), client, append: { first, payloads } },
        context(false, address),
      ),
    read: async (user: Fingerprint, signed = false) =>
      indexesOf(await service.sync({ ...request(user), append: undefined }, context(signed))),
    /** As `read`, of a reader that has waited. */
    look: async (user: Fingerprint) =>
      indexesOf(await service.look({ user, versionVector: new Map() }, context())),
    erase: (user: Fingerprint) => service.erase(request(user), context(true)),
  };
}

/** What storage does that cannot be reached. */
export function failing(): never {
  throw new StorageUnavailable("no answer in time");
}

async function indexesOf({ reading }: SyncResult): Promise<number[]> {
  let text = "";
  for await (const lines of reading.lines) text += Buffer.from(lines).toString();
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line): Operation => JSON.parse(line)).map((line) => line.operation_index);
}
