/** On every storage: what survives kill -9, and what two servers see of each other. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parseName } from "../../oplog/names.ts";
import type { Driver } from "../../storage/driver.ts";
import { openStorage } from "../../storage/open.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { sync } from "../support/http.ts";
import { storeEach } from "../support/logs.ts";
import { metricOf } from "../support/metrics.ts";
import type { OneRuntime } from "../support/one-runtime.ts";
import { type ServerProcess, startServer } from "../support/process.ts";
import { until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";

const CLIENTS = 16;
const CRASHES = 2;

/** Enough single operations to be packed once the client pauses: together they fill a segment. */
const PACKED = 64;
const PACKED_BYTES = 15_000;

/** A client that appends until its server is gone, and remembers what was acknowledged. */
class Device {
  readonly client = newClient();
  readonly user: string;
  readonly acknowledged: string[] = [];
  #sending: string[] = [];

  constructor(user: string) {
    this.user = user;
  }

  /** Sends the unacknowledged batch again, then one batch after another, until a request fails. */
  async append(server: ServerProcess, onAcknowledged: () => void): Promise<void> {
    for (;;) {
      if (this.#sending.length === 0) {
        const size = 1 + Math.floor(Math.random() * 4);
        this.#sending = Array.from({ length: size }, () => randomBytes(600).toString("base64"));
      }
      const answer = await sync(server.url, {
        user: this.user,
        client_id: this.client,
        operation_index: this.acknowledged.length,
        payload: this.#sending,
      }).catch(() => undefined);
      if (answer === undefined) return;
      assert.equal(answer.status, 200, answer.text);
      this.acknowledged.push(...this.#sending);
      this.#sending = [];
      onAcknowledged();
    }
  }

  /** Everything of this client that the server may hold: more than this was never sent. */
  get sent(): string[] {
    return [...this.acknowledged, ...this.#sending];
  }
}

export interface CrashSuiteOptions {
  /** False: a folder is without journals. */
  readonly journal?: boolean;
  /** Whether what a segment supersedes is deleted as soon as that is stored. */
  readonly deletesAtOnce?: boolean;
  /** Where what is packed and what two servers see is tested: on each runtime unless given. */
  readonly packed?: OneRuntime;
}

/** Declares the suite. `location` is asked for when the tests run. */
export function crashSuite(
  name: string,
  location: () => string,
  {
    journal = true,
    deletesAtOnce = false,
    packed: { skip, note } = { skip: false, note: "" },
  }: CrashSuiteOptions = {},
): void {
  const open = () => openStorage(location(), console.warn, { journal });
  const start = (settings: Readonly<Record<string, string>> = {}) =>
    startServer({ STORAGE: location(), JOURNAL: journal ? "on" : "off", ...settings });

  describe(`a server on ${name} that is killed under load`, () => {
    it("has every acknowledged operation when it is started again, and no partial one", async () => {
      const users = [newUser().base64, newUser().base64];
      const devices = Array.from({ length: CLIENTS }, (_, i) => new Device(users[i % 2] ?? ""));
      for (let crash = 0; crash < CRASHES; crash++) {
        const server = await start();
        let acknowledged = 0;
        const work = devices.map((device) =>
          device.append(server, () => {
            acknowledged++;
          }),
        );
        await until(() => acknowledged > 100);
        assert.equal(await server.end("SIGKILL"), "SIGKILL");
        await Promise.all(work);
      }

      const server = await start();
      for (const user of users) {
        const { operations } = await sync(server.url, { user, client_id: newClient() });
        const own = devices.filter((device) => device.user === user);
        for (const { client, acknowledged, sent } of own) {
          const stored = operations.filter(({ client_id }) => client_id === client);
          assert.ok(stored.length >= acknowledged.length);
          stored.forEach(({ operation_index, payload }, i) => {
            assert.equal(operation_index, i);
            assert.equal(payload, sent[i]);
          });
        }
        assert.ok(
          operations.every(({ client_id }) => own.some(({ client }) => client === client_id)),
        );
      }
      assert.equal(await server.end("SIGTERM"), 0);
    });
  });

  describe(`a server on ${name} that ends in the middle of a compaction${note}`, { skip }, () => {
    const client = newClient();
    const payloads = Array.from({ length: PACKED }, () =>
      randomBytes(PACKED_BYTES).toString("base64"),
    );

    /** Ends a server when it has stored a segment and not begun to delete its objects. */
    const endInBetween = async (user: string, signal: NodeJS.Signals) => {
      const storage = await open();
      await storeEach(storage, fingerprintOf(user), client, payloads.slice(0, -1));
      await storage.close();
      const server = await start({ PACKED_RETENTION: "0" });
      const last = { operation_index: PACKED - 1, payload: payloads.at(-1) };
      const { status, text } = await sync(server.url, { user, client_id: client, ...last });
      assert.equal(status, 200, text);
      const stored = 'sync_compaction_total{event="stored"}';
      await until(async () => (await metricOf(server.url, stored)) > 0);
      return server.end(signal);
    };

    /** Every operation is read once, in order. */
    const readsWhole = async (server: ServerProcess, user: string) => {
      const { operations } = await sync(server.url, { user, client_id: newClient() });
      assert.deepEqual(
        operations,
        payloads.map((payload, operation_index) => ({
          client_id: client,
          operation_index,
          payload,
        })),
      );
    };

    /** How many objects are stored, and how many operations they hold together. */
    const held = async (storage: Driver, user: string) => {
      const objects = await storage.list(`${fingerprintOf(user)}.`);
      const operations = objects.reduce((sum, { name }) => {
        const parts = parseName(name);
        return sum + (parts === undefined ? 0 : parts.last - parts.first + 1);
      }, 0);
      return { objects: objects.length, operations };
    };

    it("has every operation once after kill -9, and deletes the superseded objects", async () => {
      const user = newUser().base64;
      assert.equal(await endInBetween(user, "SIGKILL"), "SIGKILL");
      const storage = await open();
      const before = await held(storage, user);
      const isLeft = before.objects > PACKED && before.operations > PACKED;
      assert.ok(isLeft || deletesAtOnce, "nothing was left over");

      // Again, while it deletes.
      const second = await start({ PACKED_RETENTION: "0" });
      await readsWhole(second, user);
      await until(async () => !isLeft || (await held(storage, user)).objects < before.objects);
      assert.equal(await second.end("SIGKILL"), "SIGKILL");

      const third = await start({ PACKED_RETENTION: "0" });
      await readsWhole(third, user);
      // Not as often as it can: a listing takes both processes as long as many deletions.
      await until(async () => {
        await sleep(100);
        return (await held(storage, user)).operations === PACKED;
      });
      await readsWhole(third, user);
      assert.ok((await held(storage, user)).objects < PACKED / 2);
      assert.equal(await third.end("SIGTERM"), 0);
      await storage.close();
    });

    it("exits with 0 on SIGTERM, deletes nothing then, and loses nothing", async () => {
      const user = newUser().base64;
      assert.equal(await endInBetween(user, "SIGTERM"), 0);
      const storage = await open();
      assert.ok(deletesAtOnce || (await held(storage, user)).objects > PACKED);
      await storage.close();
      const server = await start();
      await readsWhole(server, user);
      assert.equal(await server.end("SIGTERM"), 0);
    });
  });

  describe(`two servers on ${name}${note}`, { skip }, () => {
    it("show each other's writes within LISTING_TTL, and accept operations that follow them", async () => {
      const user = newUser().base64;
      const [a, b] = [newClient(), newClient()];
      const settings = { LISTING_TTL: "500ms" };
      const servers = await Promise.all([start(settings), start(settings)]);
      const [first, second] = servers.map(({ url }) => url) as [string, string];
      const poll = async () => (await sync(second, { user, client_id: b })).operations;

      assert.deepEqual(await poll(), []);
      const append = (url: string, operation_index: number) =>
        sync(url, { user, client_id: a, operation_index, payload: `${operation_index}` });
      assert.equal((await append(first, 0)).status, 200);
      await until(async () => (await poll()).length === 1);
      // Alternately, so that each server gets an index beyond its own listing.
      for (let index = 1; index < 10; index++) {
        assert.equal((await append(index % 2 === 0 ? first : second, index)).status, 200);
      }
      await until(async () => (await poll()).length === 10);
      for (const server of servers) assert.equal(await server.end("SIGTERM"), 0);
    });
  });
}
