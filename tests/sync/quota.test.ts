import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { formatName } from "../../oplog/names.ts";
import { NO_TELEMETRY } from "../../oplog/telemetry.ts";
import { readConfig } from "../../server/config.ts";
import { createLogger } from "../../server/logger.ts";
import { wireService } from "../../server/service-wiring.ts";
import { StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import {
  BYTES_PER_OBJECT,
  mostRuns,
  Quota,
  QuotaExceeded,
  type QuotaOptions,
} from "../../sync/quota.ts";
import { gate, HookedDriver } from "../support/drivers.ts";
import { listingsOn, logOver, objectsOn } from "../support/logs.ts";
import { inProcessServer, newSigningUser } from "../support/signing.ts";
import { until } from "../support/socket.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const user = someFingerprint();
const [a, b, c] = [newClient(), newClient(), newClient()];

/** An instance with a quota, on a driver that others may share. */
function instance(options: Partial<QuotaOptions>, driver: HookedDriver, ttl = 1000) {
  const log = logOver(listingsOn(driver, { ttl }), objectsOn(driver));
  const quota = new Quota({ bytes: 0, clients: 0, ...options });
  return {
    append: (client: string, first: number, ...payloads: string[]) =>
      log.append(user, client, first, payloads, {
        reserve: (addition, listing) => quota.reserve(addition, listing),
      }),
  };
}

/** What so many objects of so many bytes together count with. */
const counted = (objects: number, bytes: number) => bytes + objects * BYTES_PER_OBJECT;

const newDriver = () => new HookedDriver(new MemoryDriver());

async function storedIn(driver: HookedDriver): Promise<{ bytes: number; clients: number }> {
  const objects = await driver.list("");
  const clients = new Set(objects.map(({ name }) => name.split(".")[1]));
  return { bytes: objects.reduce((sum, { size }) => sum + size, 0), clients: clients.size };
}

const exceeded = (setting: string, quota: number, used: number) => (error: unknown) => {
  assert.ok(error instanceof QuotaExceeded, String(error));
  assert.deepEqual(error.members, { setting, quota, used });
  return true;
};

describe("the quota of bytes", () => {
  it("T-34 is exact to the byte, and a refused append stores nothing", async () => {
    const driver = newDriver();
    const bytes = counted(3, 10);
    const { append } = instance({ bytes }, driver);
    await append(a, 0, "four");
    await append(a, 1, "four");
    await assert.rejects(append(a, 2, "fou"), exceeded("QUOTA_BYTES", bytes, counted(2, 8)));
    await assert.rejects(append(a, 2, "o", "ou"), exceeded("QUOTA_BYTES", bytes, counted(2, 8)));
    assert.deepEqual(await storedIn(driver), { bytes: 8, clients: 1 });
    await append(a, 2, "fo");
    await assert.rejects(append(b, 0, "f"), exceeded("QUOTA_BYTES", bytes, bytes));
    assert.deepEqual(await storedIn(driver), { bytes: 10, clients: 1 });
  });

  it("T-34 ends 20,000 operations of one byte where their files have filled it", async () => {
    const driver = newDriver();
    const bytes = 2 ** 20;
    const { append } = instance({ bytes }, driver);
    let stored = 0;
    const fill = async () => {
      while (stored < 20_000) {
        await append(a, stored, "x");
        stored++;
      }
    };
    const files = Math.floor(bytes / (BYTES_PER_OBJECT + 1));
    await assert.rejects(fill(), exceeded("QUOTA_BYTES", bytes, counted(files, files)));
    assert.equal(stored, files);
    // As files on a disk with blocks of 4 KiB.
    const blocks = (await driver.list("")).map(({ size }) => Math.ceil(size / 4096));
    assert.ok(blocks.reduce((sum, count) => sum + 4096 * count, 0) <= bytes);
  });

  it("has room again for operations that were packed", async () => {
    const driver = newDriver();
    // Alone, 7 operations of one byte fit in.
    const settings = { QUOTA_BYTES: String(counted(7, 2000)), COMPACTION: "on" };
    const timing = { debounce: 0, maxDelay: 0, deleteDelay: 0, backoff: 0 };
    const limits = { operations: 4, bytes: 100_000 };
    const server = inProcessServer(settings, driver, {}, { limits, timing });
    const user = await newSigningUser();
    const append = async (operation_index: number) => {
      const { status } = await server.unsigned(user, {
        client_id: a,
        operation_index,
        payload: "x",
      });
      return status;
    };
    for (let index = 0; index < 13; index++) {
      assert.equal(await append(index), 200, `operation ${index}`);
      await server.handler.compacted();
    }
  });

  it("counts bytes and not characters", async () => {
    const bytes = counted(1, 5);
    const { append } = instance({ bytes }, newDriver());
    await assert.rejects(append(a, 0, "ééé"), exceeded("QUOTA_BYTES", bytes, 0));
    await append(a, 0, "éé");
  });

  it("never refuses what is already stored, and counts only what is new", async () => {
    const bytes = counted(2, 8);
    const { append } = instance({ bytes }, newDriver());
    await append(a, 0, "four");
    await append(a, 0, "four", "FOUR");
    await append(a, 0, "four", "FOUR");
    await append(a, 1, "FOUR");
    await assert.rejects(append(a, 0, "four", "FOUR", "f"), exceeded("QUOTA_BYTES", bytes, bytes));
  });

  it("is the same after a restart and on another instance", async () => {
    const driver = newDriver();
    const bytes = counted(1, 8);
    await instance({ bytes }, driver).append(a, 0, "fourfour");
    const other = instance({ bytes }, driver);
    await assert.rejects(other.append(b, 0, "f"), exceeded("QUOTA_BYTES", bytes, bytes));
  });

  it("refuses nothing before it has listed storage again", async () => {
    const driver = newDriver();
    const { append } = instance({ bytes: counted(2, 8) }, driver);
    await append(a, 0, "four");
    await append(a, 1, "four");
    const [, last] = await driver.list("");
    await driver.delete(last?.name ?? "");
    await append(b, 0, "four");
  });

  it("T-35 can be exceeded by what two instances do not see of each other, and then holds on both", async () => {
    const driver = newDriver();
    const bytes = counted(2, 8);
    const [one, two] = [instance({ bytes }, driver), instance({ bytes }, driver)];
    await one.append(a, 0, "four");
    await two.append(b, 0, "four");
    await one.append(a, 1, "four");
    assert.deepEqual(await storedIn(driver), { bytes: 12, clients: 2 });
    const refused = exceeded("QUOTA_BYTES", bytes, counted(3, 12));
    await assert.rejects(one.append(a, 2, "f"), refused);
    await assert.rejects(two.append(b, 1, "f"), refused);
    assert.deepEqual(await storedIn(driver), { bytes: 12, clients: 2 });
  });

  it("T-34 is shared by appends that run in parallel", async () => {
    const driver = newDriver();
    const { opened, open } = gate();
    driver.before = ({ kind }) => (kind === "put" ? opened : undefined);
    const bytes = counted(3, 10);
    const { append } = instance({ bytes }, driver);
    const appends = [append(a, 0, "four"), append(b, 0, "four"), append(c, 0, "four")];
    const [, , third] = appends;
    await assert.rejects(third ?? Promise.resolve(), exceeded("QUOTA_BYTES", bytes, counted(2, 8)));
    open();
    await Promise.allSettled(appends);
    assert.deepEqual(await storedIn(driver), { bytes: 8, clients: 2 });
  });

  it("counts an operation of a batch once while the rest is being stored", async () => {
    const driver = newDriver();
    const { opened, open } = gate();
    driver.before = ({ kind }) =>
      kind === "put" && driver.count("put") === 2 ? opened : undefined;
    // Two objects, because one of both would be too large.
    const large = "p".repeat(3_000_000);
    const bytes = counted(3, 9_000_000);
    const { append } = instance({ bytes }, driver);
    const batch = append(a, 0, large, large);
    await until(() => driver.count("put") >= 2);
    await append(b, 0, large);
    await assert.rejects(append(c, 0, "f"), exceeded("QUOTA_BYTES", bytes, bytes));
    open();
    await batch;
    assert.deepEqual(await storedIn(driver), { bytes: 9_000_000, clients: 2 });
  });

  it("counts operations once while they are packed and not yet deleted", async () => {
    const driver = newDriver();
    const bytes = counted(3, 19);
    const { append } = instance({ bytes }, driver, 0);
    for (let index = 0; index < 3; index++) await append(a, index, "four");
    // The segment holds the first two; the third is in none.
    const segment = { user, client: a, first: 0, last: 1, md5: "0".repeat(32) };
    await driver.put(formatName(segment), new Uint8Array(10));
    await append(a, 3, "fours");
    await assert.rejects(append(a, 4, "f"), exceeded("QUOTA_BYTES", bytes, bytes));
  });

  it("frees the room of a failed append while another is under way", async () => {
    const driver = newDriver();
    const { append } = instance({ bytes: counted(2, 8) }, driver);
    const begun = gate();
    const go = gate();
    driver.before = async ({ kind, name }) => {
      if (kind !== "put") return;
      if (name.includes(a)) throw new StorageUnavailable("the disk is gone");
      begun.open();
      await go.opened;
    };
    const slow = append(b, 0, "four");
    await begun.opened;
    await assert.rejects(append(a, 0, "four"), StorageUnavailable);
    driver.before = () => undefined;
    await append(a, 0, "four");
    go.open();
    await slow;
    assert.deepEqual(await storedIn(driver), { bytes: 8, clients: 2 });
  });

  it("is not used up by appends that fail", async () => {
    const driver = newDriver();
    const { append } = instance({ bytes: counted(1, 4), clients: 1 }, driver);
    driver.before = ({ kind }) => {
      if (kind === "put") throw new StorageUnavailable("the disk is gone");
    };
    for (let i = 0; i < 3; i++) await assert.rejects(append(a, 0, "four"), StorageUnavailable);
    driver.before = () => undefined;
    await append(b, 0, "four");
  });
});

describe("the quota of clients", () => {
  it("refuses one more client, and accepts appends of those that exist", async () => {
    const driver = newDriver();
    const { append } = instance({ clients: 2 }, driver);
    await append(a, 0, "x");
    await append(b, 0, "x");
    await assert.rejects(append(c, 0, "x"), exceeded("QUOTA_CLIENTS", 2, 2));
    await append(a, 1, "y", "z");
    assert.equal((await storedIn(driver)).clients, 2);
  });

  it("T-34 is shared by new clients that append in parallel", async () => {
    const driver = newDriver();
    const { opened, open } = gate();
    driver.before = ({ kind }) => (kind === "put" ? opened : undefined);
    const { append } = instance({ clients: 2 }, driver);
    const appends = [append(a, 0, "x"), append(b, 0, "x"), append(c, 0, "x")];
    await assert.rejects(appends[2] ?? Promise.resolve(), exceeded("QUOTA_CLIENTS", 2, 2));
    open();
    await Promise.allSettled(appends);
    assert.equal((await storedIn(driver)).clients, 2);
  });
});

describe("the size of a listing", () => {
  it("is bounded, so that it fits into the cache, and a batch counts as one object", async () => {
    const driver = newDriver();
    const { append } = instance({ runs: 4 + 2 + 3 }, driver);
    for (let index = 0; index < 2; index++) await append(a, index, "x");
    await append(a, 2, "x", "y", "z");
    await assert.rejects(append(a, 5, "x"), exceeded("LISTING_CACHE_RUNS", 9, 9));
    await append(a, 2, "x", "y", "z");
    assert.equal((await driver.list("")).length, 3);
  });

  it("T-34 is bounded for appends in parallel, and counts their clients", async () => {
    const driver = newDriver();
    const { opened, open } = gate();
    driver.before = ({ kind }) => (kind === "put" ? opened : undefined);
    const { append } = instance({ runs: 4 + 2 * (2 + 1) }, driver);
    const appends = [append(a, 0, "x"), append(b, 0, "x"), append(c, 0, "x")];
    await assert.rejects(appends[2] ?? Promise.resolve(), exceeded("LISTING_CACHE_RUNS", 10, 10));
    open();
    await Promise.allSettled(appends);
    assert.equal((await storedIn(driver)).clients, 2);
    await assert.rejects(append(a, 1, "x"), exceeded("LISTING_CACHE_RUNS", 10, 10));
  });

  it("may be 100,000 however small the cache is", () => {
    assert.deepEqual([1, 100_000, 1_000_000].map(mostRuns), [100_000, 100_000, 1_000_000]);
  });
});

describe("a user's first signed request", () => {
  const operation = () => ({ client_id: newClient(), operation_index: 0, payload: "ten bytes!" });

  for (const [setting, value] of [
    ["QUOTA_CLIENTS", "1"],
    ["QUOTA_BYTES", String(counted(1, 10))],
  ] as const) {
    it(`T-34 keeps ${setting}, whatever is stored while it waits for the lock`, async () => {
      const driver = newDriver();
      const server = inProcessServer({ LISTING_TTL: "0", [setting]: value }, driver);
      const user = await newSigningUser();
      const { held, go } = driver.hold("before", ({ name }) => name.endsWith(".signed"));
      const signed = [server.signed(user, operation()), server.signed(user, operation())];
      await held;
      assert.equal((await server.unsigned(user, operation())).status, 200);
      go();
      // One has room: the lock has doubled the quota.
      const answers = await Promise.all(signed);
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 507]);
    });

    it(`T-03 makes room where strangers have used up ${setting}, once`, async () => {
      const server = inProcessServer({ [setting]: value }, newDriver());
      const user = await newSigningUser();
      assert.equal((await server.unsigned(user, operation())).status, 200);
      assert.equal((await server.unsigned(user, operation())).status, 507);
      assert.equal((await server.signed(user, operation())).status, 200);
      assert.equal((await server.signed(user, operation())).status, 507);
    });

    it(`makes no more room than ${setting} where nobody can store unsigned`, async () => {
      const settings = { SIGNATURES: "required", [setting]: value };
      const server = inProcessServer(settings, newDriver());
      const user = await newSigningUser();
      assert.equal((await server.signed(user, operation())).status, 200);
      assert.equal((await server.signed(user, operation())).status, 507);
    });
  }

  it("counts as one new user of its network, and stores one lock, however many are first", async () => {
    const driver = newDriver();
    const { service } = wireService({
      config: readConfig({ NEW_USERS_PER_HOUR: "1" }),
      driver,
      logger: createLogger("silent"),
      telemetry: NO_TELEMETRY,
      pause: async () => undefined,
    });
    const budget = {
      tryReserve: () => true,
      reserve: async () => undefined,
      free: () => undefined,
    };
    const context = { address: "192.0.2.1", bytes: 100, signed: true, budget };
    const key = { fingerprint: user, spki: new Uint8Array() };
    const request = { user, key, client: a, append: undefined, versionVector: new Map() };
    await Promise.all([1, 2, 3].map(() => service.sync(request, context)));
    assert.equal(driver.count("put"), 1);
  });
});

describe("any appends in parallel", () => {
  const append = fc.record({
    client: fc.nat(4),
    payloads: fc.array(fc.string({ minLength: 1, maxLength: 5, unit: fc.constant("x") }), {
      minLength: 1,
      maxLength: 1,
    }),
    ttl: fc.constantFrom(0, 1000),
  });

  it("stay within the quotas, and only what does not fit is refused", async () => {
    const clients = Array.from({ length: 5 }, newClient);
    await fc.assert(
      fc.asyncProperty(
        fc.array(append, { maxLength: 20 }),
        fc.constantFrom(0, 1000),
        async (appends, ttl) => {
          const driver = newDriver();
          driver.before = () => new Promise((resolve) => setImmediate(resolve));
          const quota = counted(5, 20);
          const one = instance({ bytes: quota, clients: 3 }, driver, ttl);
          const next = new Map<number, number>();
          const outcomes = await Promise.allSettled(
            appends.map(({ client, payloads }) => {
              const first = next.get(client) ?? 0;
              next.set(client, first + payloads.length);
              return one.append(clients[client] ?? "", first, ...payloads);
            }),
          );
          const stored = await storedIn(driver);
          const objects = (await driver.list("")).length;
          assert.ok(counted(objects, stored.bytes) <= quota && stored.clients <= 3);
          for (const outcome of outcomes) {
            if (outcome.status === "fulfilled") continue;
            const { reason } = outcome;
            // An append after a refused one is a gap.
            if (!(reason instanceof QuotaExceeded)) assert.equal(reason.name, "OperationGap");
            else assert.ok(reason.members.used <= reason.members.quota);
          }
          assert.equal(stored.bytes === 0, appends.length === 0);
        },
      ),
    );
  });
});
