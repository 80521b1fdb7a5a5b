/** What every cluster has to do, with three servers in it. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import {
  type Announcement,
  CLAIM_LASTS_MS,
  type Claim,
  type Cluster,
  type Room,
  type SharedBucket,
} from "../../cluster/cluster.ts";
import { until } from "../support/socket.ts";

/** A cluster that no other test uses. */
export interface Place {
  readonly join: () => Promise<Cluster>;
  /** Has so many milliseconds pass for buckets and claims. */
  readonly pass: (milliseconds: number) => Promise<void>;
}

const LOG = "log";
const ANY: Room = {
  bytes: Number.POSITIVE_INFINITY,
  clients: Number.POSITIVE_INFINITY,
  size: Number.POSITIVE_INFINITY,
  runsPerClient: 1,
};

const A_CLAIM: Claim = {
  id: "claim",
  log: LOG,
  version: "",
  client: "client",
  isNewClient: false,
  objects: 1,
  bytes: 10,
  room: ANY,
};

/** Declares the tests. */
export function contract(name: string, newPlace: () => Place): void {
  describe(name, () => {
    let place: Place;
    let servers: readonly Cluster[];
    let a: Cluster;
    let b: Cluster;
    let c: Cluster;
    let claims = 0;

    beforeEach(async () => {
      place = newPlace();
      [a, b, c] = [await place.join(), await place.join(), await place.join()];
      servers = [a, b, c];
    });
    afterEach(() => Promise.all(servers.map((server) => server.close())));

    /** The version of the log, whose name differs from server to server. */
    const version = async (server = a) => {
      const found = await server.version(LOG);
      assert.ok(found !== undefined);
      return found;
    };
    const claim = async (server: Cluster, more: Partial<Claim>) =>
      server.claim({ ...A_CLAIM, id: `${++claims}`, version: await version(server), ...more });
    const outcome = async (server: Cluster, more: Partial<Claim>) =>
      (await claim(server, more))?.outcome;

    it("makes the version of a log once", async () => {
      const asked = await Promise.all(Array.from({ length: 10 }, () => version(a)));
      assert.equal(new Set(asked).size, 1);
      assert.notEqual(await a.version("another log"), asked[0]);
      for (const server of servers) {
        const before = await version(server);
        assert.equal(before, await version(server));
        assert.ok(server.follows(before));
      }
    });

    it("changes the version with every announcement, in steps that all servers can follow", async () => {
      const all = servers.map((server) => listen(server));
      const asked = await Promise.all(servers.map((server) => version(server)));
      const steps = [];
      for (let i = 0; i < 9; i++) {
        const step = await servers[i % 3]?.announce(LOG, `${i}`);
        assert.ok(step !== undefined);
        steps.push(step);
      }
      await until(() => all.every(({ length }) => length === 9), "9 announcements everywhere");
      for (const [i, server] of servers.entries()) {
        let at = asked[i];
        for (const { before, after } of all[i] ?? []) {
          assert.equal(before, at);
          assert.notEqual(after, at);
          at = after;
        }
        assert.equal(await version(server), at);
        assert.ok(server.follows(await version(server)));
      }
      const told = steps.map((_, i) => all[i % 3]?.[i]);
      assert.deepEqual(
        steps,
        told.map((step) => ({ before: step?.before, after: step?.after })),
      );
    });

    it("never makes a version twice", async () => {
      const seen = new Set([await version()]);
      for (let i = 0; i < 20; i++) {
        const step = await servers[i % 3]?.announce(LOG, "");
        assert.ok(step !== undefined);
        seen.add(step.after);
      }
      assert.equal(seen.size, 21);
    });

    it("brings the announcements of all servers to all of them, unchanged and in one order", async () => {
      const changes = ["", " ", "a  b ", " 1 2", "é ‎𝄞 日本\u0000\n", "x".repeat(100_000), "-"];
      const all = servers.map((server) => listen(server));
      await Promise.all(
        changes.flatMap((change) => servers.map((server, i) => server.announce(`${i}`, change))),
      );
      const count = 3 * changes.length;
      await until(() => all.every(({ length }) => length === count), "all of them everywhere");
      const texts = all.map((one) => one.map(({ log, change }) => [log, change]));
      assert.deepEqual(texts[1], texts[0]);
      assert.deepEqual(texts[2], texts[0]);
      for (const i of servers.keys()) {
        const own = texts[0]?.filter(([log]) => log === `${i}`).map(([, change]) => change);
        assert.deepEqual(own, changes);
      }
    });

    it("has no version come before the announcement that has led to it", async () => {
      const heard = listen(b);
      for (let i = 1; i <= 100; i++) {
        await a.announce(LOG, `${i}`);
        const asked = await version(b);
        assert.equal(heard.length, i);
        assert.equal(heard.at(-1)?.after, asked);
      }
    });

    it("takes exactly what there is, by all servers together", async () => {
      const bucket = { name: "shared", rate: 0.001, burst: 100 };
      const takings = await Promise.all(
        Array.from({ length: 300 }, (_, i) =>
          (servers[i % 3] ?? a).take({ buckets: [bucket], tokens: 1, onlyIfLeft: true }),
        ),
      );
      assert.equal(takings.filter((taken) => taken?.taken === true).length, 100);
      assert.equal(takings.filter((taken) => taken?.taken === false).length, 200);
    });

    const take = async (buckets: readonly SharedBucket[], tokens: number, onlyIfLeft = true) => {
      const taken = await b.take({ buckets, tokens, onlyIfLeft });
      assert.ok(taken !== undefined);
      return { taken: taken.taken, tokens: taken.tokens.map(Math.round) };
    };

    it("fills a bucket with time, up to its burst", async () => {
      const bucket = { name: "filled", rate: 0.01, burst: 10 };
      assert.deepEqual(await take([bucket], 10), { taken: true, tokens: [0] });
      assert.deepEqual(await take([bucket], 1), { taken: false, tokens: [0] });
      await place.pass(300_000);
      assert.deepEqual(await take([bucket], 1), { taken: true, tokens: [2] });
      await place.pass(10_000_000);
      assert.deepEqual(await take([bucket], 1), { taken: true, tokens: [9] });
    });

    it("takes from all of several buckets or from none", async () => {
      const [large, small] = [
        { name: "large", rate: 0.001, burst: 100 },
        { name: "small", rate: 0.001, burst: 2 },
      ];
      assert.deepEqual(await take([large, small], 2), { taken: true, tokens: [98, 0] });
      assert.deepEqual(await take([large, small], 2), { taken: false, tokens: [98, 0] });
      assert.deepEqual(await take([small], 2), { taken: false, tokens: [0] });
      assert.deepEqual(await take([large], 0), { taken: true, tokens: [98] });
    });

    it("takes more than there is where that is allowed, and gives back up to the burst", async () => {
      const bucket = { name: "debt", rate: 0.001, burst: 10 };
      assert.deepEqual(await take([bucket], 15, false), { taken: true, tokens: [-5] });
      assert.deepEqual(await take([bucket], 1), { taken: false, tokens: [-5] });
      assert.deepEqual(await take([bucket], -7, false), { taken: true, tokens: [2] });
      assert.deepEqual(await take([bucket], -100, false), { taken: true, tokens: [10] });
    });

    it("grants exactly as many claims as there is room for", async () => {
      const limits: readonly ["bytes" | "size", Partial<Room>][] = [
        ["bytes", { bytes: 79 }],
        ["size", { size: 7 }],
      ];
      for (const [kind, room] of limits) {
        const outcomes = await Promise.all(
          Array.from({ length: 30 }, (_, i) =>
            outcome(servers[i % 3] ?? a, { room: { ...ANY, ...room } }),
          ),
        );
        assert.equal(outcomes.filter((one) => one === "granted").length, 7, kind);
        assert.equal(outcomes.filter((one) => one === kind).length, 23, kind);
        await place.pass(CLAIM_LASTS_MS);
      }
    });

    it("counts a new client once, whatever it claims and wherever", async () => {
      const room = { ...ANY, clients: 2, size: 24, runsPerClient: 10 };
      const bring = (server: Cluster, client: string) =>
        claim(server, { client, isNewClient: true, room });
      assert.deepEqual(await bring(a, "one"), granted(0, 0, 0));
      assert.deepEqual(await bring(b, "one"), granted(10, 0, 1));
      assert.deepEqual(await bring(c, "two"), granted(20, 1, 2));
      assert.deepEqual(await bring(a, "two"), granted(30, 1, 3));
      assert.equal((await bring(b, "one"))?.outcome, "size");
      const wide = { ...room, size: 100 };
      assert.equal(await outcome(a, { client: "three", isNewClient: true, room: wide }), "clients");
      assert.equal(await outcome(a, { client: "known", room: wide }), "granted");
    });

    it("grants no claim by a version that is past", async () => {
      const past = await version(a);
      await b.announce(LOG, "");
      assert.equal(await outcome(a, { version: past }), "outdated");
      assert.equal(await outcome(a, {}), "granted");
    });

    it("ends a claim by its announcement, by its release, and after five minutes", async () => {
      const full = { room: { ...ANY, bytes: 10 } };
      assert.equal(await outcome(a, { id: "first", ...full }), "granted");
      assert.equal(await outcome(b, full), "bytes");
      // The same claim again is not another one.
      assert.equal(await outcome(a, { id: "first", ...full }), "granted");

      await a.announce(LOG, "stored", "first");
      assert.equal(await outcome(b, { id: "second", ...full }), "granted");
      assert.equal(await outcome(c, full), "bytes");

      b.release(LOG, "second");
      await version(b);
      assert.equal(await outcome(c, { id: "third", ...full }), "granted");
      await place.pass(CLAIM_LASTS_MS - 10_000);
      assert.equal(await outcome(a, full), "bytes");
      await place.pass(10_000);
      assert.equal(await outcome(a, full), "granted");
    });

    it("goes on without a server that has left, and that server without the others", async () => {
      const before = await version(c);
      const heard = listen(c);
      await c.close();
      assert.equal(c.isReliable, false);
      assert.equal(c.follows(before), false);
      const bucket = { name: "left", rate: 1, burst: 1 };
      assert.deepEqual(
        [
          await c.version(LOG),
          await c.announce(LOG, ""),
          await c.take({ buckets: [bucket], tokens: 1, onlyIfLeft: true }),
          await c.claim({ ...A_CLAIM, version: before }),
        ],
        [undefined, undefined, undefined, undefined],
      );
      c.release(LOG, "claim");
      await c.close();

      const all = [listen(a), listen(b)];
      await a.announce(LOG, "news");
      await until(() => all.every(({ length }) => length === 1));
      assert.ok(a.isReliable && b.isReliable);
      assert.equal(heard.length, 0);
    });
  });
}

function granted(bytes: number, clients: number, objects: number) {
  return { outcome: "granted" as const, bytes, clients, objects };
}

/** What a server hears from now on. */
function listen(server: Cluster): readonly Announcement[] {
  const heard: Announcement[] = [];
  server.onAnnouncement((announcement) => heard.push(announcement));
  return heard;
}
