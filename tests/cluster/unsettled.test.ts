/** Servers of a cluster whose storage does later what it has failed to do in time. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { MemoryHub } from "../../cluster/memory.ts";
import type { Fingerprint } from "../../oplog/names.ts";
import { StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { SignatureRequired, UserErased } from "../../sync/access.ts";
import { newClient, someFingerprint } from "../support/users.ts";
import { failing, type Server, serverOn } from "./service.ts";

const client = newClient();

/** What a server stores, and how another shows it. */
const CASES: readonly {
  readonly what: string;
  readonly store: (server: Server, user: Fingerprint) => Promise<unknown>;
  readonly shows: (server: Server, user: Fingerprint) => Promise<void>;
}[] = [
  {
    what: "an operation",
    store: (server, user) => server.append(user, client, 0),
    shows: async (server, user) => assert.deepEqual(await server.read(user), [0]),
  },
  {
    what: "a lock",
    store: (server, user) => server.read(user, true),
    shows: (server, user) => assert.rejects(server.read(user), SignatureRequired),
  },
  {
    what: "a tombstone",
    store: (server, user) => server.erase(user),
    shows: (server, user) => assert.rejects(server.read(user), UserErased),
  },
];

describe("what storage does after it has failed to do it in time", () => {
  beforeEach(() => mock.timers.enable({ apis: ["setInterval"] }));
  afterEach(() => mock.timers.reset());

  for (const { what, store, shows } of CASES) {
    it(`is shown by another server within half a minute: ${what}`, async () => {
      const storage = new MemoryDriver();
      const hub = new MemoryHub();
      const [a, b] = [serverOn(storage, hub.join()), serverOn(storage, hub.join())];
      const user = someFingerprint();
      let putLate = async () => undefined as unknown;
      a.driver.before = ({ kind, name }) => {
        if (kind !== "put") return undefined;
        putLate = () => storage.put(name, Buffer.from("0"));
        return failing();
      };
      assert.equal(a.isSettled, true);
      await assert.rejects(store(a, user), StorageUnavailable);
      // What was announced at the failure was too early.
      assert.deepEqual(await b.read(user), []);
      assert.equal(a.isSettled, false);
      await putLate();
      mock.timers.tick(30_000);
      await turn();
      await shows(b, user);
      mock.timers.tick(600_000);
      assert.equal(a.isSettled, true);
    });
  }
});

describe("a server that the others may not expect any more", () => {
  it("stores nothing", async () => {
    const storage = new MemoryDriver();
    const user = someFingerprint();
    const cluster = new MemoryHub().join();
    Object.defineProperty(cluster, "isForgotten", { value: true });
    const server = serverOn(storage, cluster);
    for (const { store } of CASES) await assert.rejects(store(server, user), StorageUnavailable);
    assert.equal(server.driver.count("put"), 0);
    assert.deepEqual(await server.read(user), []);
  });
});
