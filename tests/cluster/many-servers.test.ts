/** Servers on one storage and one Redis, over HTTP. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { openCluster } from "../../cluster/open.ts";
import { OPERATION_COUNT } from "../../protocol/limits.ts";
import type { Driver } from "../../storage/driver.ts";
import { openStorage } from "../../storage/open.ts";
import { BYTES_PER_OBJECT } from "../../sync/quota.ts";
import { HookedDriver } from "../support/drivers.ts";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere, sync } from "../support/http.ts";
import { metricOf } from "../support/metrics.ts";
import { hasRedis, PATIENT, type Redis, skipRedis, startRedis } from "../support/redis.ts";
import { newSigningUser, signedHeaders, syncBody } from "../support/signing.ts";
import { newClient, newUser } from "../support/users.ts";

const SERVERS = 3;

/** As long as a test takes, nothing comes by age. */
const TTL = "1h";

interface Place {
  readonly servers: readonly [Serving, Serving, Serving];
  readonly drivers: readonly HookedDriver[];
  readonly close: () => Promise<void>;
}

if (hasRedis) {
  let redis: Redis;
  let places = 0;
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis.remove());

  /** Three servers on a folder, which have not heard of each other's users. */
  const open = async (settings: Readonly<Record<string, string>> = {}): Promise<Place> => {
    const folder = temporaryFolder();
    const url = `${redis.url}/0?prefix=place${++places}`;
    const closing: (() => Promise<void>)[] = [];
    const drivers: HookedDriver[] = [];
    const servers: Serving[] = [];
    for (let i = 0; i < SERVERS; i++) {
      const storage: Driver = await openStorage(folder.path);
      const driver = new HookedDriver(storage);
      const cluster = await openCluster(url, {
        ttl: 3_600_000,
        onChange: () => undefined,
        ...PATIENT,
      });
      const server = await serveHere({ LISTING_TTL: TTL, ...settings }, driver, undefined, cluster);
      drivers.push(driver);
      servers.push(server);
      closing.push(async () => {
        await server.close();
        await cluster.close();
        await storage.close();
      });
    }
    const [a, b, c] = servers;
    assert.ok(a !== undefined && b !== undefined && c !== undefined);
    return {
      servers: [a, b, c],
      drivers,
      close: async () => {
        await Promise.all(closing.map((close) => close()));
        folder.remove();
      },
    };
  };

  describe("three servers on one storage", () => {
    let place: Place;
    before(async () => {
      place = await open();
    });
    after(() => place.close());

    const lists = () => place.drivers.map((driver) => driver.count("list"));

    it("show at once what any of them has acknowledged, and list a log once each", async () => {
      const user = newUser().base64;
      const [writer, reader] = [newClient(), newClient()];
      const poll = { user, client_id: reader, operation_index: 0, sync_status: {} };
      for (const { url } of place.servers) await sync(url, poll);
      const before = lists();
      for (let index = 0; index < 12; index++) {
        const append = { user, client_id: writer, operation_index: index, payload: `p${index}` };
        const through = place.servers[index % SERVERS];
        assert.ok(through !== undefined);
        assert.equal((await sync(through.url, append)).status, 200);
        for (const { url } of place.servers) {
          const { operations } = await sync(url, poll);
          assert.equal(operations.length, index + 1);
        }
      }
      assert.deepEqual(lists(), before, "storage was listed again");
    });

    it("answer a device that waits at one of them with what another stores", async () => {
      const [a, b] = place.servers;
      const user = newUser().base64;
      const poll = { user, client_id: newClient(), operation_index: 0, sync_status: {} };
      await sync(b.url, poll);
      const waiting = sync(b.url, poll, { Prefer: "wait=50" });
      while ((await metricOf(b.url, "sync_waiting")) === 0) await sync(b.url, poll);
      await sync(a.url, { user, client_id: newClient(), operation_index: 0, payload: "news" });
      const { operations, headers } = await waiting;
      assert.deepEqual(
        operations.map(({ payload }) => payload),
        ["news"],
      );
      assert.equal(headers.get(OPERATION_COUNT), "1");
    });

    it("refuse unsigned requests as soon as one of them has seen a signed one", async () => {
      const [a, b, c] = place.servers;
      const user = await newSigningUser();
      const body = syncBody(user, { operation_index: 0 });
      const unsigned = () => Promise.all([b, c].map(({ url }) => sync(url, body)));
      for (const { status } of await unsigned()) assert.equal(status, 200);
      const headers = await signedHeaders(user, { url: new URL("/sync", a.url).href, body });
      assert.equal((await sync(a.url, body, headers)).status, 200);
      for (const { status } of await unsigned()) assert.equal(status, 401);
    });

    it("refuse a user as soon as one of them has erased it, also a device that waits", async () => {
      const [a, b, c] = place.servers;
      const user = await newSigningUser();
      const signed = async ({ url }: Serving, method: string, body: string, prefer = "") => {
        const request = { url: new URL("/sync", url).href, method, body };
        const headers = { ...(await signedHeaders(user, request)), Prefer: prefer };
        return fetch(request.url, { ...request, headers });
      };
      const client_id = newClient();
      const body = syncBody(user, { client_id, operation_index: 0, payload: "x" });
      for (const server of [a, b, c])
        assert.equal((await signed(server, "POST", body)).status, 200);
      const poll = syncBody(user, { operation_index: 0, sync_status: { [client_id]: 0 } });
      const waiting = signed(b, "POST", poll, "wait=50");
      while ((await metricOf(b.url, "sync_waiting")) === 0) await turn();
      const erase = JSON.stringify({ user: user.base64 });
      assert.equal((await signed(a, "DELETE", erase)).status, 204);
      assert.equal((await waiting).status, 410);
      for (const server of [b, c]) assert.equal((await signed(server, "POST", body)).status, 410);
    });

    it("refuse a batch that has another payload than one that any of them has stored", async () => {
      const [a, b] = place.servers;
      const user = newUser().base64;
      const client_id = newClient();
      const first = { user, client_id, operation_index: 0 };
      await sync(b.url, { ...first, sync_status: {} });
      assert.equal((await sync(a.url, { ...first, payload: "one" })).status, 200);
      assert.equal((await sync(b.url, { ...first, payload: "two" })).status, 409);
      assert.equal((await sync(b.url, { ...first, payload: "one" })).status, 200);
    });
  });

  describe("limits of three servers", () => {
    const each = async (place: Place, count: number, request: (i: number) => unknown) => {
      const answers = Array.from({ length: count }, async (_, i) => {
        const server = place.servers[i % SERVERS];
        assert.ok(server !== undefined);
        return (await sync(server.url, request(i))).status;
      });
      return Promise.all(answers);
    };
    const accepted = (statuses: readonly number[]) =>
      statuses.filter((status) => status === 200).length;

    it("admit together exactly what the rate limit of a user allows", async () => {
      // One token comes in three hours; a request costs a little more than one.
      const place = await open({ RATE_LIMIT: "0.0001", RATE_BURST: "20.5" });
      try {
        const user = newUser().base64;
        const client_id = newClient();
        const statuses = await each(place, 60, () => ({ user, client_id, operation_index: 0 }));
        assert.equal(accepted(statuses), 20);
        assert.equal(statuses.filter((status) => status === 429).length, 40);
      } finally {
        await place.close();
      }
    });

    it("accept together exactly as many bytes and clients as the quotas allow", async () => {
      const settings = { QUOTA_BYTES: `${10 * (BYTES_PER_OBJECT + 1)}`, QUOTA_CLIENTS: "7" };
      const place = await open(settings);
      try {
        const [many, one] = [newUser().base64, newUser().base64];
        const newClients = await each(place, 30, () => ({
          user: many,
          client_id: newClient(),
          operation_index: 0,
          payload: "x",
        }));
        assert.equal(accepted(newClients), 7);
        const clients = Array.from({ length: 6 }, newClient);
        let stored = 0;
        for (let index = 0; index < 4; index++) {
          const statuses = await each(place, clients.length, (i) => ({
            user: one,
            client_id: clients[i],
            operation_index: index,
            payload: "x",
          }));
          stored += accepted(statuses);
        }
        assert.equal(stored, 10);
      } finally {
        await place.close();
      }
    });

    it("let together exactly as many new users start as one address may", async () => {
      const place = await open({ NEW_USERS_PER_HOUR: "5" });
      try {
        const statuses = await each(place, 15, () => ({
          user: newUser().base64,
          client_id: newClient(),
          operation_index: 0,
          payload: "x",
        }));
        assert.equal(accepted(statuses), 5);
      } finally {
        await place.close();
      }
    });
  });
} else skipRedis();
