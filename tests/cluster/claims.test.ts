/** Servers of a cluster near a quota: what one has claimed and does not need, the others get. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import type { Cluster } from "../../cluster/cluster.ts";
import { MemoryHub } from "../../cluster/memory.ts";
import { OperationConflict } from "../../oplog/append-plan.ts";
import type { Fingerprint } from "../../oplog/names.ts";
import { StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { BYTES_PER_OBJECT, QuotaExceeded } from "../../sync/quota.ts";
import { NewUsersLimited } from "../../sync/rate-limiter.ts";
import { gate } from "../support/drivers.ts";
import { newClient, someFingerprint } from "../support/users.ts";
import { failing, serverOn } from "./service.ts";

/** A quota for so many operations of one byte. */
const roomFor = (operations: number) => ({
  QUOTA_BYTES: `${operations * (BYTES_PER_OBJECT + 1)}`,
});

/** Has the next answer to a claim come late: `held` once it has been given. */
function holdClaim(cluster: Cluster) {
  const [given, answered] = [gate(), gate()];
  const claim = cluster.claim.bind(cluster);
  cluster.claim = async (asked) => {
    cluster.claim = claim;
    const outcome = await claim(asked);
    given.open();
    await answered.opened;
    return outcome;
  };
  return { held: given.opened, go: answered.open };
}

describe("room that a server has claimed", () => {
  let storage: MemoryDriver;
  let hub: MemoryHub;
  let user: Fingerprint;
  const client = newClient();
  beforeEach(() => {
    storage = new MemoryDriver();
    hub = new MemoryHub();
    user = someFingerprint();
  });

  for (const [payload, outcome] of [
    ["0", "a retry"],
    ["x", "a conflict"],
  ] as const) {
    it(`is free again where another stores meanwhile what makes the append ${outcome}`, async () => {
      const cluster = hub.join();
      const a = serverOn(storage, hub.join(), roomFor(2));
      const b = serverOn(storage, cluster, roomFor(2));
      const { held, go } = holdClaim(cluster);
      const late = b.append(user, client, 0);
      await held;
      await a.append(user, client, 0, { payloads: [payload] });
      go();
      if (payload === "0") await late;
      else await assert.rejects(late, OperationConflict);
      await a.append(user, client, 1);
      await assert.rejects(b.append(user, client, 2), QuotaExceeded);
    });
  }

  it("is free again where its put fails", async () => {
    const [a, b] = [
      serverOn(storage, hub.join(), roomFor(1)),
      serverOn(storage, hub.join(), roomFor(1)),
    ];
    a.driver.before = ({ kind }) => (kind === "put" ? failing() : undefined);
    await assert.rejects(a.append(user, client, 0), StorageUnavailable);
    await b.append(user, newClient(), 0);
  });

  it("is free again where its user is one new user too many", async () => {
    const settings = { QUOTA_CLIENTS: "1", NEW_USERS_PER_HOUR: "1" };
    const [a, b] = [
      serverOn(storage, hub.join(), settings),
      serverOn(storage, hub.join(), settings),
    ];
    await a.append(someFingerprint(), client, 0);
    await assert.rejects(b.append(user, client, 0), NewUsersLimited);
    await a.append(user, newClient(), 0, { address: "198.51.100.1" });
  });

  it("does not count twice what is stored of a batch while the rest of it is not", async () => {
    const MIB = 1024 * 1024;
    const a = serverOn(storage, hub.join(), { QUOTA_BYTES: `${8 * MIB}` });
    const payloads = ["x".repeat(3 * MIB), "y".repeat(3 * MIB)];
    let puts = 0;
    const { held, go } = a.driver.hold("before", ({ kind }) => kind === "put" && ++puts === 2);
    const first = a.append(user, client, 0, { payloads });
    await held;
    await a.append(user, newClient(), 0);
    go();
    await first;
    assert.deepEqual((await a.read(user)).sort(), [0, 0, 1]);
  });
});
