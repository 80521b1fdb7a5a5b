/** Servers of a cluster without HTTP and without Redis: what goes wrong at the worst moment. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { MemoryHub } from "../../cluster/memory.ts";
import type { Fingerprint } from "../../oplog/names.ts";
import { NO_TELEMETRY } from "../../oplog/telemetry.ts";
import { readConfig } from "../../server/config.ts";
import { createLogger } from "../../server/logger.ts";
import { wireService } from "../../server/service-wiring.ts";
import { StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { UserErased } from "../../sync/access.ts";
import { HookedDriver } from "../support/drivers.ts";
import type { Operation } from "../support/http.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const NEVER = 1e9;
const BUDGET = {
  tryReserve: () => true,
  reserve: async () => undefined,
  free: () => undefined,
};

/** A server on a storage, and the indexes that it shows of a user. */
function serverOn(storage: MemoryDriver, hub: MemoryHub, settings: Record<string, string> = {}) {
  const driver = new HookedDriver(storage);
  const { service, compaction } = wireService({
    config: readConfig({
      RATE_LIMIT: "0",
      NEW_USERS_PER_HOUR: "0",
      LISTING_TTL: "1h",
      ...settings,
    }),
    driver,
    cluster: hub.join(),
    logger: createLogger("silent"),
    compaction: {
      limits: { operations: 4 },
      timing: {
        debounce: NEVER,
        maxDelay: NEVER,
        deleteDelay: NEVER,
        idle: NEVER,
        scanStep: NEVER,
        backoff: 0,
      },
    },
    telemetry: NO_TELEMETRY,
    pause: async () => undefined,
  });
  const request = (user: Fingerprint) => ({
    user,
    client: newClient(),
    versionVector: new Map<string, number>(),
    key: { fingerprint: user, spki: new Uint8Array() },
  });
  const context = (signed = false) => ({ address: "192.0.2.1", bytes: 1, signed, budget: BUDGET });
  return {
    driver,
    compaction,
    append: (user: Fingerprint, client: string, first: number) =>
      service.sync(
        { ...request(user), client, append: { first, payloads: [`${first}`] } },
        context(),
      ),
    read: async (user: Fingerprint) => {
      const { reading } = await service.sync({ ...request(user), append: undefined }, context());
      let text = "";
      for await (const lines of reading.lines) text += Buffer.from(lines).toString();
      const lines = text.split("\n").filter((line) => line !== "");
      return lines.map((line): Operation => JSON.parse(line)).map((line) => line.operation_index);
    },
    erase: (user: Fingerprint) => service.erase(request(user), context(true)),
  };
}

const failing = () => {
  throw new StorageUnavailable("no answer in time");
};

describe("two servers of a cluster", () => {
  let storage: MemoryDriver;
  let hub: MemoryHub;
  let a: ReturnType<typeof serverOn>;
  let b: ReturnType<typeof serverOn>;
  let user: Fingerprint;
  const client = newClient();

  beforeEach(() => {
    storage = new MemoryDriver();
    hub = new MemoryHub();
    [a, b] = [serverOn(storage, hub), serverOn(storage, hub)];
    user = someFingerprint();
  });

  it("show a reader that joins a list under way what a failed append and another have stored since", async () => {
    await a.append(user, client, 0);
    const { held, go } = b.driver.hold("after", ({ kind }) => kind === "list");
    const first = b.read(user);
    await held;
    a.driver.before = ({ kind }) => (kind === "put" ? failing() : undefined);
    await assert.rejects(a.append(user, newClient(), 0), StorageUnavailable);
    a.driver.before = () => undefined;
    await a.append(user, client, 1);
    const second = b.read(user);
    await turn();
    go();
    assert.deepEqual([await first, await second], [[0], [0, 1]]);
  });

  it("go on showing all operations when one packs them into a segment whose put has failed before", async () => {
    const all = [0, 1, 2, 3, 4, 5, 6, 7, 8];
    for (const index of all) await a.append(user, client, index);
    assert.deepEqual(await b.read(user), all);
    a.driver.after = ({ kind }) => (kind === "put" ? failing() : undefined);
    await assert.rejects(a.compaction?.compact(user, true) ?? Promise.resolve());
    a.driver.after = () => undefined;
    assert.equal(await a.compaction?.compact(user, true), true);
    await turn();
    assert.deepEqual(await a.read(user), all);
    assert.deepEqual(await b.read(user), all);
  });

  it("list nothing again after a compaction of their own, or of each other", async () => {
    for (let index = 0; index < 9; index++) await a.append(user, client, index);
    await b.read(user);
    assert.equal(await a.compaction?.compact(user, true), true);
    await turn();
    const lists = () => a.driver.count("list") + b.driver.count("list");
    const before = lists();
    await a.read(user);
    await b.read(user);
    assert.equal(lists(), before);
  });

  it("refuse a user whose tombstone one of them has found without storing it", async () => {
    await a.append(user, client, 0);
    await b.read(user);
    let store = async () => undefined as unknown;
    a.driver.before = ({ kind, name }) => {
      if (kind !== "put") return undefined;
      store = () => storage.put(name, new Uint8Array());
      return failing();
    };
    await assert.rejects(a.erase(user), StorageUnavailable);
    await b.read(user);
    await store();
    const c = serverOn(storage, hub);
    await c.erase(user);
    await turn();
    await assert.rejects(b.read(user), UserErased);
  });

  it("list a log for each request where LISTING_TTL is 0", async () => {
    const c = serverOn(storage, hub, { LISTING_TTL: "0" });
    await c.append(user, client, 0);
    const before = c.driver.count("list");
    await c.read(user);
    await c.read(user);
    assert.equal(c.driver.count("list"), before + 2);
  });
});
