/** Servers of a cluster without HTTP and without Redis: what goes wrong at the worst moment. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { MemoryHub } from "../../cluster/memory.ts";
import type { Fingerprint } from "../../oplog/names.ts";
import { StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { UserErased } from "../../sync/access.ts";
import { newClient, someFingerprint } from "../support/users.ts";
import { failing, type Server, serverOn } from "./service.ts";

describe("two servers of a cluster", () => {
  let storage: MemoryDriver;
  let hub: MemoryHub;
  let a: Server;
  let b: Server;
  let user: Fingerprint;
  const client = newClient();

  beforeEach(() => {
    storage = new MemoryDriver();
    hub = new MemoryHub();
    [a, b] = [serverOn(storage, hub.join()), serverOn(storage, hub.join())];
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

  it("read the segment after a compaction of their own, or of each other, and list nothing again", async () => {
    for (let index = 0; index < 9; index++) await a.append(user, client, index);
    await b.read(user);
    assert.equal(await a.compaction?.compact(user, true), true);
    await turn();
    const count = () => a.driver.count("list") + b.driver.count("list");
    const [lists, gets] = [count(), b.driver.count("get")];
    await a.read(user);
    await b.read(user);
    assert.equal(count(), lists);
    assert.equal(b.driver.count("get"), gets + 1, "the segment is not read");
  });

  it("show what a server that takes no part has stored, once one of them has acknowledged it again", async () => {
    await b.read(user);
    const alone = serverOn(storage, new MemoryHub().join());
    await alone.append(user, client, 0);
    await a.append(user, client, 0);
    assert.deepEqual(await b.read(user), [0]);
  });

  it("list a log again after LISTING_TTL while one of them is missing", async () => {
    const cluster = hub.join();
    let now = 0;
    const c = serverOn(storage, cluster, { LISTING_TTL: "1s" }, () => now);
    assert.deepEqual(await c.read(user), []);
    await serverOn(storage, new MemoryHub().join()).append(user, client, 0);
    now = 1000;
    assert.deepEqual(await c.read(user), []);
    Object.defineProperty(cluster, "isReliable", { value: false });
    assert.deepEqual(await c.read(user), [0]);
  });

  it("list a log once where another stores something meanwhile", async () => {
    await a.append(user, client, 0);
    const { held, go } = b.driver.hold("after", ({ kind }) => kind === "list");
    const first = b.read(user);
    await held;
    await a.append(user, client, 1);
    go();
    await first;
    assert.deepEqual(await b.read(user), [0, 1]);
    assert.equal(b.driver.count("list"), 1);
  });

  it("refuse a reader that waits at one once another has erased its user", async () => {
    await a.append(user, client, 0);
    await b.read(user);
    await a.erase(user);
    await turn();
    await assert.rejects(b.look(user), UserErased);
  });

  it("refuse a user whose erasure one of them has begun and cannot finish", async () => {
    await a.append(user, client, 0);
    await b.read(user);
    a.driver.before = ({ kind }) => (kind === "delete" ? failing() : undefined);
    await assert.rejects(a.erase(user), StorageUnavailable);
    await turn();
    await assert.rejects(b.read(user), UserErased);
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
    const c = serverOn(storage, hub.join());
    await c.erase(user);
    await turn();
    await assert.rejects(b.read(user), UserErased);
  });

  it("list a log for each request where LISTING_TTL is 0", async () => {
    const c = serverOn(storage, hub.join(), { LISTING_TTL: "0" });
    await c.append(user, client, 0);
    const before = c.driver.count("list");
    await c.read(user);
    await c.read(user);
    assert.equal(c.driver.count("list"), before + 2);
  });
});
