/** DELETE /sync erases a user: only a tombstone stays. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { isTombstone } from "../../oplog/names.ts";
import { type Driver, StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { openStorage } from "../../storage/open.ts";
import { type Call, HookedDriver } from "../support/drivers.ts";
import {
  append,
  batch,
  checkErased,
  lockOf,
  NOW,
  namesOf,
  time,
  tombstoneOf,
} from "../support/erasure.ts";
import { temporaryFolder } from "../support/folder.ts";
import { type ServerProcess, startServer } from "../support/process.ts";
import {
  inProcessServer,
  readAnswer,
  SERVER,
  type SigningUser,
  signedHeaders,
  twoSigningUsers,
} from "../support/signing.ts";
import { until } from "../support/socket.ts";

let user: SigningUser;
let other: SigningUser;
before(async () => {
  [user, other] = await twoSigningUsers();
});

const tombstone = (at?: number) => tombstoneOf(user, at);
const lock = () => lockOf(user);
const namesIn = (driver: Driver, of = user) => namesOf(driver, of);

/** Stores operations of two clients, signed, and an object that this version does not recognize. */
async function fill(driver: Driver): Promise<void> {
  const server = inProcessServer({}, driver, { time });
  for (const members of [append, batch]) {
    assert.equal((await server.signed(user, members)).status, 200);
  }
  // Last in the order of names.
  await driver.put(`${user.fingerprint}.zzz`, new Uint8Array(5));
}

describe("erasing a user", () => {
  it("T-30 is answered with 204 and leaves only a tombstone: a fingerprint and a time", async () => {
    const driver = new MemoryDriver();
    await fill(driver);
    const server = inProcessServer({}, driver, { time });
    assert.equal((await server.unsigned(other, append)).status, 200);
    const { status, text, headers } = await server.erase(user);
    assert.equal(status, 204);
    assert.equal(text, "");
    assert.equal(headers.get("cache-control"), "no-store");
    assert.deepEqual(await driver.list(user.fingerprint), [{ name: tombstone(), size: 0 }]);
    await checkErased(server, user);
    assert.deepEqual(await namesIn(driver), [tombstone()], "and nothing comes back");
    assert.equal((await namesIn(driver, other)).length, 1, "others are not concerned");
    await checkErased(inProcessServer({}, driver, { time }), user);
  });

  it("can be repeated, and is answered with 204 again", async () => {
    const driver = new MemoryDriver();
    let seconds = NOW;
    const server = inProcessServer({}, driver, { time: () => seconds * 1000 });
    for (let i = 0; i < 3; i++) {
      assert.equal((await server.erase(user)).status, 204);
      seconds += 100;
    }
    assert.deepEqual(await namesIn(driver), [tombstone()], "the first time stays");
  });

  it("T-10 requires a signature, even of a user without signed requests", async () => {
    const driver = new MemoryDriver();
    const server = inProcessServer({}, driver, { time });
    await server.unsigned(user, append);
    const stored = await namesIn(driver);
    const body = JSON.stringify({ user: user.base64 });
    const json = { "Content-Type": "application/json" };
    const unsigned = await server.send(body, json, "DELETE");
    assert.equal(unsigned.status, 401);
    assert.equal(unsigned.problem.type, "urn:sync-server:signature-required");
    const request = { url: SERVER, method: "DELETE", body };
    const forged = await signedHeaders(other, request, { created: NOW, keyid: user.fingerprint });
    assert.equal((await server.send(body, forged, "DELETE")).problem.check, "signature");
    assert.deepEqual(await namesIn(driver), stored);
    assert.equal((await server.unsigned(user)).status, 200);
  });

  const bodies: [string, string, string][] = [
    ["no user", "{}", "#/user"],
    ["members of a sync request", '{"user":"USER","client_id":"a"}', "#/client_id"],
    ["no object", "[]", "#"],
  ];
  for (const [what, text, pointer] of bodies) {
    it(`is answered with 400 for a body with ${what}, and nothing is deleted`, async () => {
      const driver = new MemoryDriver();
      await fill(driver);
      const stored = await namesIn(driver);
      const body = text.replace("USER", user.base64);
      const request = { url: SERVER, method: "DELETE", body };
      const headers = await signedHeaders(user, request, { created: NOW });
      const answer = await inProcessServer({}, driver, { time }).send(body, headers, "DELETE");
      assert.equal(answer.status, 400);
      const [fault] = answer.problem.errors as [{ pointer: string }];
      assert.equal(fault.pointer, pointer);
      assert.deepEqual(await namesIn(driver), stored);
    });
  }

  it("stores the tombstone before it deletes anything, and deletes the lock last", async () => {
    const memory = new MemoryDriver();
    await fill(memory);
    const driver = new HookedDriver(memory);
    let left: string[] = [];
    driver.before = async ({ kind, name }) => {
      if (kind === "delete" && name === lock()) left = await namesIn(memory);
    };
    await inProcessServer({}, driver, { time }).erase(user);
    const changes = driver.calls.filter(({ kind }) => kind === "put" || kind === "delete");
    assert.deepEqual(changes[0], { kind: "put", name: tombstone() });
    assert.deepEqual(changes.at(-1), { kind: "delete", name: lock() });
    assert.deepEqual(left, [tombstone(), lock()], "all the rest is gone by then");
    assert.ok(changes.slice(1).every(({ kind }) => kind === "delete"));
    assert.equal(driver.calls.at(-1)?.kind, "list", "which makes deletes durable");
  });

  it("leaves no payload in the server's memory", async () => {
    const server = inProcessServer({}, new MemoryDriver(), { time });
    await server.signed(user, batch);
    const held = async () => {
      const response = await server.handler.fetch(new Request("http://sync.example/metrics"));
      return /^sync_object_cache_bytes (\d+)$/m.exec(await response.text())?.[1];
    };
    assert.notEqual(await held(), "0");
    await server.erase(user);
    assert.equal(await held(), "0");
  });

  it("is counted by a metric, and the user is named by neither a metric nor the log", async () => {
    const driver = new MemoryDriver();
    await fill(driver);
    const server = inProcessServer({}, driver, { time });
    await server.erase(user);
    await server.unsigned(user);
    const response = await server.handler.fetch(new Request("http://sync.example/metrics"));
    const text = await response.text();
    assert.match(text, /^sync_users_total{event="erased"} 1$/m);
    assert.match(text, /^sync_erased_objects_total 4$/m);
    const all = text + server.log.join("");
    assert.ok(!all.includes(user.fingerprint) && !all.includes(user.base64.slice(0, 64)));
    assert.ok(!text.includes(user.fingerprint.slice(0, 8)));
  });
});

describe("an interrupted erasure", () => {
  /** Interrupts an erasure at the given change to storage, before or after it is done. */
  async function breakOff(
    at: number,
    moment: "before" | "after",
  ): Promise<MemoryDriver | undefined> {
    const memory = new MemoryDriver();
    await fill(memory);
    const driver = new HookedDriver(memory);
    let changes = 0;
    let broken = false;
    const step = (mine: "before" | "after") => (call: Call) => {
      if (mine === "before" && call.kind !== "get" && call.kind !== "list") changes++;
      // Deletes run in parallel: others may be done when the first one is.
      const now = changes >= at && mine === moment && call.kind !== "list";
      if (broken || now) {
        broken = true;
        throw new StorageUnavailable("the power failed");
      }
    };
    driver.before = step("before");
    driver.after = step("after");
    const { status } = await inProcessServer({}, driver, { time }).erase(user);
    assert.equal(status, broken ? 503 : 204);
    return broken ? memory : undefined;
  }

  for (const moment of ["before", "after"] as const) {
    it(`${moment} any of its steps is finished by the next call, on any server`, async () => {
      let steps = 0;
      for (;;) {
        const left = await breakOff(steps + 1, moment);
        if (left === undefined) break;
        steps++;
        const names = await namesIn(left);
        const erased = names.includes(tombstone());
        assert.equal(erased, steps > 1 || moment === "after");
        const server = inProcessServer({}, left, { time: () => (NOW + 100) * 1000 });
        if (erased) assert.equal((await server.signed(user)).status, 410, "erased already");
        assert.equal((await server.erase(user)).status, 204);
        assert.deepEqual(await namesIn(left), [tombstone(erased ? NOW : NOW + 100)]);
      }
      // The tombstone, an operation, a segment, a strange object, and the lock.
      assert.equal(steps, 5);
    });
  }

  it("takes effect when the tombstone was stored although storage reported a failure", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    await fill(driver);
    const server = inProcessServer({}, driver, { time });
    assert.equal((await server.signed(user)).status, 200);
    driver.after = ({ kind, name }) => {
      if (kind === "put" && name === tombstone()) throw new StorageUnavailable("no answer came");
    };
    assert.equal((await server.erase(user)).status, 503);
    driver.after = () => undefined;
    await checkErased(server, user);
  });

  it("T-31 is finished in the background when a device of the user sends a request", async () => {
    const memory = new MemoryDriver();
    await fill(memory);
    await memory.put(tombstone(), new Uint8Array());
    const server = inProcessServer({}, memory, { time });
    assert.equal((await server.unsigned(user)).status, 410);
    await until(async () => (await namesIn(memory)).length === 1);
    assert.deepEqual(await namesIn(memory), [tombstone()]);
  });

  it("is retried when it fails in the background, and the failure is logged", async () => {
    const memory = new MemoryDriver();
    await fill(memory);
    await memory.put(tombstone(), new Uint8Array());
    const driver = new HookedDriver(memory);
    let failing = true;
    driver.before = ({ kind }) => {
      if (kind === "delete" && failing) throw new StorageUnavailable("the disk is read-only");
    };
    const server = inProcessServer({}, driver, { time });
    assert.equal((await server.unsigned(user)).status, 410);
    await until(() => server.log.some((line) => line.includes("not swept yet")));
    failing = false;
    await until(async () => {
      assert.equal((await server.unsigned(user)).status, 410);
      return (await namesIn(memory)).length === 1;
    });
  });
});

describe("a user whose tombstone the operator has removed", () => {
  it("starts anew, and unsigned requests are accepted until the next signed one", async () => {
    const memory = new MemoryDriver();
    await fill(memory);
    assert.equal((await inProcessServer({}, memory, { time }).erase(user)).status, 204);
    await memory.delete(tombstone());
    const server = inProcessServer({}, memory, { time });
    assert.equal((await server.unsigned(user, append)).status, 200);
    assert.equal((await server.signed(user)).status, 200);
    assert.equal((await server.unsigned(user, append)).status, 401);
  });
});

describe("two servers that erase one user", () => {
  it("leave one tombstone, the earliest", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    await fill(driver);
    let at = NOW + 7;
    const clock = { time: () => at-- * 1000 };
    const servers = [inProcessServer({}, driver, clock), inProcessServer({}, driver, clock)];
    for (const server of servers) await server.signed(user);
    const answers = await Promise.all(servers.map((server) => server.erase(user)));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [204, 204],
    );
    const stored = driver.calls.filter(({ kind, name }) => kind === "put" && isTombstone(name));
    const tombstones = stored.map(({ name }) => name).sort();
    assert.equal(new Set(tombstones).size, 2);
    assert.deepEqual(await namesIn(driver), tombstones.slice(0, 1));
  });
});

describe("an erasure on a real server", () => {
  async function ask(server: ServerProcess, method: string, members = {}): Promise<number> {
    const url = new URL("/sync", server.url).href;
    const client = method === "POST" ? { client_id: "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11" } : {};
    const body = JSON.stringify({ user: user.base64, ...client, ...members });
    const headers = await signedHeaders(user, { url, method, body });
    return (await readAnswer(await fetch(url, { method, headers, body }))).status;
  }

  it("T-31 is finished by the next request when the server was killed in the middle", async () => {
    const folder = temporaryFolder();
    const driver = await openStorage(folder.path);
    // Not by the driver, which would sync each to the disk.
    const own = join(folder.path, user.fingerprint);
    mkdirSync(own, { mode: 0o700 });
    for (let i = 0; i < 2000; i++) writeFileSync(join(own, `${user.fingerprint}.object-${i}`), "p");
    let server = await startServer({ STORAGE: folder.path });
    try {
      assert.equal(await ask(server, "POST", append), 200);
      const before = (await namesIn(driver)).length;
      const erasing = ask(server, "DELETE").catch(() => undefined);
      await until(async () => (await namesIn(driver)).length < before);
      await server.end("SIGKILL");
      await erasing;
      assert.ok((await namesIn(driver)).some((name) => name.includes(".erased.")));
      server = await startServer({ STORAGE: folder.path });
      assert.equal(await ask(server, "POST"), 410);
      assert.equal(await ask(server, "DELETE"), 204);
      assert.equal((await namesIn(driver)).length, 1);
      assert.equal(await ask(server, "POST"), 410);
      assert.equal(await ask(server, "DELETE"), 204);
      await driver.close();
    } finally {
      await server.end("SIGKILL");
      folder.remove();
    }
  });
});
