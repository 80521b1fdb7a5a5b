/** The first signature of a user locks: from then on, the public key alone gives no access. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { formatMarker } from "../../oplog/names.ts";
import type { Driver } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { gate, HookedDriver } from "../support/drivers.ts";
import {
  type InProcessServer,
  inProcessServer,
  newSigningUser,
  SERVER,
  type SigningUser,
  signedHeaders,
  syncBody,
} from "../support/signing.ts";
import { until } from "../support/socket.ts";
import { newClient } from "../support/users.ts";

const append = { operation_index: 0, payload: "a payload" };

let user: SigningUser;
before(async () => {
  user = await newSigningUser();
});

const marker = () => formatMarker({ kind: "signed", user: user.fingerprint });

async function namesIn(driver: Driver): Promise<string[]> {
  return (await driver.list("")).map(({ name }) => name);
}

describe("a sender with only the public key", () => {
  const operation = (client_id: string, operation_index: number, payload: string) => ({
    client_id,
    operation_index,
    payload,
  });

  it("can use up a client's next index and the quota of a user without signed requests", async () => {
    const server = inProcessServer({ QUOTA_CLIENTS: "2" });
    const device = newClient();
    assert.equal((await server.unsigned(user, operation(device, 0, "own"))).status, 200);
    assert.equal((await server.unsigned(user, operation(device, 1, "other"))).status, 200);
    const { status, problem } = await server.unsigned(user, operation(device, 1, "own"));
    assert.equal(status, 409);
    assert.equal(problem.type, "urn:sync-server:operation-conflict");
    assert.equal((await server.unsigned(user, operation(newClient(), 0, "other"))).status, 200);
    assert.equal((await server.unsigned(user, operation(newClient(), 0, "own"))).status, 507);
  });

  it("T-04 can use up neither once the user has signed", async () => {
    const server = inProcessServer({ QUOTA_CLIENTS: "2" });
    const device = newClient();
    assert.equal((await server.signed(user, operation(device, 0, "own"))).status, 200);
    assert.equal((await server.unsigned(user, operation(device, 1, "other"))).status, 401);
    assert.equal((await server.unsigned(user, operation(newClient(), 0, "other"))).status, 401);
    assert.equal((await server.signed(user, operation(device, 1, "own"))).status, 200);
    assert.equal((await server.signed(user, operation(newClient(), 0, "own"))).status, 200);
  });
});

describe("the first signed request of a user", () => {
  it("T-01 ends the time in which unsigned requests are accepted", async () => {
    const server = inProcessServer();
    const client = newClient();
    const first = await server.unsigned(user, { client_id: client, ...append });
    assert.equal(first.status, 200);
    const read = await server.signed(user);
    assert.equal(read.status, 200);
    assert.equal(JSON.parse(read.text).client_id, client);
    const requests = [{}, append, { client_id: client, operation_index: 0, payload: "a payload" }];
    for (const members of requests) {
      const { status, problem, headers } = await server.unsigned(user, members);
      assert.equal(status, 401);
      assert.equal(problem.type, "urn:sync-server:signature-required");
      assert.match(headers.get("accept-signature") ?? "", /^sig=\("@method" /);
    }
    assert.equal((await server.signed(user, append)).status, 200);
    const other = await newSigningUser();
    assert.equal((await server.unsigned(other, append)).status, 200, "others are not concerned");
  });

  it("stores one empty object beside the operations, once", async () => {
    const driver = new MemoryDriver();
    const server = inProcessServer({}, driver);
    await server.signed(user);
    await server.signed(user);
    assert.deepEqual(await driver.list(""), [{ name: marker(), size: 0 }]);
  });

  it("locks before it is answered, and before it stores", async () => {
    const memory = new MemoryDriver();
    const driver = new HookedDriver(memory);
    const { opened, open } = gate();
    driver.before = ({ kind, name }) => (kind === "put" && name === marker() ? opened : undefined);
    const server = inProcessServer({}, driver);
    let answered = false;
    const asked = server.signed(user, append).finally(() => {
      answered = true;
    });
    await until(() => driver.count("put") > 0);
    assert.equal(answered, false);
    open();
    assert.equal((await asked).status, 200);
    const puts = driver.calls.filter(({ kind }) => kind === "put").map(({ name }) => name);
    assert.equal(puts[0], marker());
    assert.equal(puts.length, 2);
  });

  it("is not answered with 200 when the lock cannot be stored, and stores nothing else", async () => {
    const memory = new MemoryDriver();
    const driver = new HookedDriver(memory);
    driver.before = ({ name }) => {
      if (name === marker()) throw new Error("the disk is full");
    };
    const server = inProcessServer({}, driver);
    assert.equal((await server.signed(user, append)).status, 500);
    assert.deepEqual(await namesIn(memory), []);
  });

  it("T-09 does not lock when it is refused: by its signature, by a field, or by the rate limit", async () => {
    const driver = new MemoryDriver();
    const server = inProcessServer({ RATE_LIMIT: "0.001", RATE_BURST: "1" }, driver, {
      now: () => 0,
    });
    const other = await newSigningUser();
    const body = syncBody(user);
    const forged = await signedHeaders(other, { url: SERVER, body }, { keyid: user.fingerprint });
    assert.equal((await server.send(body, forged)).status, 401);
    assert.equal((await server.signed(user, { surplus: 1 })).status, 400);
    assert.deepEqual(await namesIn(driver), []);
    assert.equal((await server.signed(other)).status, 200);
    assert.equal((await server.signed(other)).status, 429);
    assert.equal((await server.unsigned(user)).status, 200);
  });

  it("costs one request to storage more than the others, and the lock costs none", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const server = inProcessServer({}, driver);
    const asked = async (ask: () => Promise<unknown>) => {
      driver.calls.length = 0;
      await ask();
      return driver.calls.map(({ kind }) => kind);
    };
    assert.deepEqual(await asked(() => server.unsigned(user)), ["list"]);
    assert.deepEqual(await asked(() => server.signed(user)), ["put"]);
    assert.deepEqual(await asked(() => server.signed(user)), []);
    assert.deepEqual(await asked(() => server.unsigned(user)), []);
  });
});

describe("the lock with two servers on one storage", () => {
  function two(settings: Record<string, string>): {
    a: InProcessServer;
    b: InProcessServer;
    driver: MemoryDriver;
    wait: (ms: number) => void;
  } {
    const driver = new MemoryDriver();
    let at = 0;
    const clocks = { now: () => at };
    return {
      a: inProcessServer(settings, driver, clocks),
      b: inProcessServer(settings, driver, clocks),
      driver,
      wait: (ms) => {
        at += ms;
      },
    };
  }

  it("is seen by the other at once where nothing of the user was cached", async () => {
    const { a, b } = two({});
    await a.signed(user);
    assert.equal((await b.unsigned(user, append)).status, 401);
  });

  it("T-01 is seen by the other after LISTING_TTL at the latest, and permanently", async () => {
    const { a, b, wait } = two({ LISTING_TTL: "30s" });
    assert.equal((await b.unsigned(user)).status, 200);
    assert.equal((await a.signed(user)).status, 200);
    wait(29_999);
    assert.equal((await b.unsigned(user)).status, 200, "what was cached is good for so long");
    wait(1);
    for (let i = 0; i < 3; i++) {
      assert.equal((await b.unsigned(user, append)).status, 401);
      wait(1_000_000_000);
    }
  });

  it("is seen by the other at once with LISTING_TTL=0", async () => {
    const { a, b } = two({ LISTING_TTL: "0" });
    assert.equal((await b.unsigned(user)).status, 200);
    assert.equal((await a.signed(user)).status, 200);
    assert.equal((await b.unsigned(user, append)).status, 401);
  });

  it("is seen by the other when an append makes it list storage again", async () => {
    const { a, b, driver } = two({ LISTING_TTL: "forever", QUOTA_BYTES: "1" });
    assert.equal((await b.unsigned(user)).status, 200);
    assert.equal((await a.signed(user)).status, 200);
    const { status } = await b.unsigned(user, append);
    assert.equal(status, 401, "and not 507");
    assert.equal((await b.unsigned(user)).status, 401);
    assert.deepEqual(await namesIn(driver), [marker()]);
  });

  it("is seen by the other when objects of its cached listing are gone", async () => {
    const { a, b, driver } = two({ LISTING_TTL: "forever", OBJECT_CACHE_BYTES: "0" });
    assert.equal((await b.unsigned(user, append)).status, 200);
    const [operation = ""] = await namesIn(driver);
    assert.equal((await a.signed(user)).status, 200);
    await driver.delete(operation);
    const { status, problem } = await b.unsigned(user);
    assert.equal(status, 401);
    assert.equal(problem.type, "urn:sync-server:signature-required");
  });

  it("survives a listing that was being read while it was set", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const server = inProcessServer({ LISTING_TTL: "forever" }, driver);
    const { held, go } = driver.hold("after", ({ kind }) => kind === "list");
    // Both wait for one list, which began before there was a lock.
    const waiting = [server.signed(user), server.signed(user)];
    await held;
    go();
    await Promise.all(waiting);
    assert.equal(driver.count("list"), 1);
    assert.equal((await server.unsigned(user)).status, 401);
    assert.equal(driver.count("list"), 1);
  });
});
