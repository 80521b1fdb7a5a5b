/** Requests and compactions that are under way while their user is erased. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { type Driver, StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { type Call, HookedDriver } from "../support/drivers.ts";
import {
  append,
  batch,
  checkErased,
  lockOf,
  namesOf,
  time,
  tombstoneOf,
} from "../support/erasure.ts";
import { inProcessServer, newSigningUser, type SigningUser } from "../support/signing.ts";
import { until } from "../support/socket.ts";
import { newClient } from "../support/users.ts";

let user: SigningUser;
before(async () => {
  user = await newSigningUser();
});

const tombstone = () => tombstoneOf(user);
const lock = () => lockOf(user);
const namesIn = (driver: Driver) => namesOf(driver, user);

describe("a lock that is being stored while its user is erased", () => {
  it("is answered with 410, and is deleted", async () => {
    const memory = new MemoryDriver();
    const driver = new HookedDriver(memory);
    const server = inProcessServer({}, driver, { time });
    const { held, go } = driver.hold(
      "before",
      ({ kind, name }) => kind === "put" && name === lock(),
    );
    const polling = server.signed(user);
    await held;
    // The request that erases does not lock, and is not refused.
    assert.equal((await server.erase(user)).status, 204);
    assert.deepEqual(await namesIn(memory), [tombstone()]);
    go();
    assert.equal((await polling).status, 410);
    assert.deepEqual(await namesIn(memory), [tombstone()]);
    await checkErased(server, user);
  });
});

describe("an append that is under way while its user is erased", () => {
  it("is answered with 410, and what it stored is deleted, whichever ends first", async () => {
    for (const slow of ["put", "tombstone"]) {
      const memory = new MemoryDriver();
      const driver = new HookedDriver(memory);
      const server = inProcessServer({}, driver, { time });
      await server.signed(user);
      const { held, go } = driver.hold(
        "before",
        ({ kind, name }) => kind === "put" && (name === tombstone()) === (slow === "tombstone"),
      );
      const appending = () => server.signed(user, batch);
      const [first, second] =
        slow === "put"
          ? [appending, () => server.erase(user)]
          : [() => server.erase(user), appending];
      const one = first();
      await held;
      const two = second();
      // The fast one passes; only then may the slow one continue.
      assert.equal((await two).status, slow === "put" ? 204 : 200);
      go();
      assert.equal((await one).status, slow === "put" ? 410 : 204);
      assert.deepEqual(await namesIn(memory), [tombstone()], slow);
      await checkErased(server, user);
    }
  });

  it("leaves nothing when storage reported a failure although it had stored", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const server = inProcessServer({}, driver, { time });
    await server.signed(user);
    driver.after = async ({ kind, name }) => {
      if (kind !== "put" || name === tombstone()) return;
      assert.equal((await server.erase(user)).status, 204);
      throw new StorageUnavailable("no answer came");
    };
    assert.equal((await server.signed(user, batch)).status, 410);
    assert.deepEqual(await namesIn(driver), [tombstone()]);
  });

  it("on another server, which does not know yet, is swept at the next request of the device", async () => {
    const memory = new MemoryDriver();
    let at = 0;
    const clocks = { now: () => at, time };
    const [a, b] = [inProcessServer({}, memory, clocks), inProcessServer({}, memory, clocks)];
    await b.signed(user);
    assert.equal((await a.erase(user)).status, 204);
    assert.equal((await b.signed(user, batch)).status, 200, "within LISTING_TTL it cannot know");
    assert.equal((await namesIn(memory)).length, 2);
    at += 30_000;
    assert.equal((await b.signed(user)).status, 410);
    await until(async () => (await namesIn(memory)).length === 1);
    assert.deepEqual(await namesIn(memory), [tombstone()]);
  });
});

describe("an append by a cached listing of a user whom another server has erased", () => {
  it("T-30 is refused with 410 once storage shows less of its client, and stores nothing", async () => {
    const driver = new MemoryDriver();
    const settings = { LISTING_TTL: "forever" };
    const [a, b] = [
      inProcessServer({}, driver, { time }),
      inProcessServer(settings, driver, { time }),
    ];
    const client = { client_id: newClient() };
    assert.equal((await b.signed(user, { ...client, ...batch })).status, 200);
    assert.equal((await a.erase(user)).status, 204);
    // By the cached listing a conflict, and the first operation of its client by storage.
    const { status, text } = await b.signed(user, { ...client, ...append });
    assert.equal(status, 410, text);
    assert.deepEqual(await namesIn(driver), [tombstone()]);
  });
});

describe("a compaction that is under way while its user is erased", () => {
  const timing = { debounce: 0, maxDelay: 0, deleteDelay: 0, backoff: 60_000 };
  const compaction = { limits: { operations: 4, bytes: 1_000_000 }, timing };

  /** A server that compacts what it was sent, and is held right before it stores a segment. */
  async function compacting(memory: MemoryDriver) {
    const driver = new HookedDriver(memory);
    const server = inProcessServer({ COMPACTION: "on" }, driver, { time }, compaction);
    const isSegment = ({ kind, name }: Call) =>
      kind === "put" && name.includes("-0000000000000003.");
    const { held, go } = driver.hold("before", isSegment);
    const client = newClient();
    for (let index = 0; index < 5; index++) {
      const members = { client_id: client, operation_index: index, payload: `${index}` };
      assert.equal((await server.signed(user, members)).status, 200);
    }
    const compacted = server.handler.compacted();
    await held;
    const finish = async () => {
      go();
      await compacted;
      assert.equal(driver.calls.filter(isSegment).length, 1, "the segment was stored");
    };
    return { server, finish };
  }

  it("leaves nothing behind", async () => {
    const memory = new MemoryDriver();
    const { server, finish } = await compacting(memory);
    assert.equal((await server.erase(user)).status, 204);
    await finish();
    assert.deepEqual(await namesIn(memory), [tombstone()]);
    await checkErased(server, user);
  });

  it("leaves nothing behind when another server erases", async () => {
    const memory = new MemoryDriver();
    const { finish } = await compacting(memory);
    assert.equal((await inProcessServer({}, memory, { time }).erase(user)).status, 204);
    assert.deepEqual(await namesIn(memory), [tombstone()]);
    await finish();
    assert.deepEqual(await namesIn(memory), [tombstone()], "deleted again");
  });
});

describe("a poll that is under way while its user is erased", () => {
  it("is answered with 410 like all that follow, and not logged as an error", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const server = inProcessServer({ OBJECT_CACHE_BYTES: "0" }, driver, { time });
    assert.equal((await server.signed(user, append)).status, 200);
    const { held, go } = driver.hold("before", ({ kind }) => kind === "get");
    const polling = server.signed(user);
    await held;
    assert.equal((await server.erase(user)).status, 204);
    go();
    const { status, problem, text } = await polling;
    assert.equal(status, 410, text);
    assert.equal(problem.type, "urn:sync-server:user-erased");
    assert.deepEqual(
      server.log.filter((line) => JSON.parse(line).level === "error"),
      [],
    );
  });
});
