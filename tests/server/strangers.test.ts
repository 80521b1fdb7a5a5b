/** Work for nobody in particular counts by network address. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { randomPublicKey } from "../../bench/lib/users.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { HookedDriver } from "../support/drivers.ts";
import {
  inProcessServer,
  readAnswer,
  SERVER,
  type SigningUser,
  signedHeaders,
  syncBody,
  twoSigningUsers,
} from "../support/signing.ts";
import { newClient, newUser } from "../support/users.ts";

/** As many tokens as an address has. */
const BURST = 200;
const settings = { RATE_LIMIT: "20", RATE_BURST: "1000" };
const JSON_TYPE = { "Content-Type": "application/json" };

let user: SigningUser;
let other: SigningUser;
before(async () => {
  [user, other] = await twoSigningUsers();
});

/** A server of which requests are asked from addresses, and the lists that they cost. */
function server(more: Record<string, string> = {}) {
  const driver = new HookedDriver(new MemoryDriver());
  const { handler } = inProcessServer({ ...settings, ...more }, driver, { now: () => 0 });
  const send = async (ip: string, body: string, headers: Record<string, string> = JSON_TYPE) => {
    const request = new Request(SERVER, { method: "POST", headers, body });
    return readAnswer(await handler.fetch(Object.assign(request, { ip })));
  };
  const poll = (ip: string, key = randomPublicKey()) =>
    send(ip, JSON.stringify({ user: key, client_id: newClient() }));
  const signed = async (ip: string, signer: SigningUser, path = "/sync") => {
    const body = syncBody(signer);
    return send(ip, body, await signedHeaders(signer, { url: SERVER, body }, { path }));
  };
  return { driver, send, poll, signed };
}

describe("the limit of a network address", () => {
  it("T-38 counts polls by made-up keys, and refuses them before storage is listed", async () => {
    const { driver, poll, send } = server();
    const key = randomPublicKey();
    const append = { user: key, client_id: newClient(), operation_index: 0, payload: "sealed" };
    assert.equal((await send("192.0.2.1", JSON.stringify(append))).status, 200);
    for (let i = 1; i < BURST; i++) assert.equal((await poll("192.0.2.1")).status, 200);
    const lists = driver.count("list");
    const { status, problem, headers } = await poll("192.0.2.1");
    assert.deepEqual([status, problem.type], [429, "urn:sync-server:rate-limited"]);
    assert.equal(headers.get("retry-after"), "1");
    assert.match(String(problem.detail), /network address/);
    assert.equal(driver.count("list"), lists);
    // Users with something stored go on, and so do other addresses.
    assert.equal((await poll("192.0.2.1", key)).status, 200);
    assert.equal((await poll("192.0.2.2")).status, 200);
  });

  it("T-38 refuses no user of whom it has found something stored, also where no listing is cached", async () => {
    const { driver, poll, send } = server({ LISTING_CACHE_RUNS: "1" });
    const key = randomPublicKey();
    const append = { user: key, client_id: newClient(), operation_index: 0, payload: "sealed" };
    assert.equal((await send("192.0.2.1", JSON.stringify(append))).status, 200);
    assert.equal((await poll("192.0.2.1", key)).status, 200);
    while ((await poll("192.0.2.1")).status !== 429);
    const lists = driver.count("list");
    assert.equal((await poll("192.0.2.1", key)).status, 200);
    assert.equal(driver.count("list"), lists + 1);
  });

  it("T-38 takes no tokens of a user whom it refuses because of others at that address", async () => {
    const { poll } = server();
    while ((await poll("192.0.2.1")).status !== 429);
    const key = randomPublicKey();
    assert.equal((await poll("192.0.2.1", key)).status, 429);
    const { status, headers } = await poll("192.0.2.2", key);
    assert.equal(status, 200);
    // Of 1000, one and a bit for the bytes of this request alone.
    assert.match(headers.get("ratelimit") ?? "", /^"user";r=998;/);
  });

  it("T-53 counts signatures that do not hold, and refuses them before they are verified", async () => {
    const { signed } = server();
    assert.equal((await signed("192.0.2.1", user)).status, 200);
    for (let i = 1; i < BURST; i++) {
      assert.equal((await signed("192.0.2.1", other, "/other")).status, 401);
    }
    assert.equal((await signed("192.0.2.1", other)).status, 429);
    // A user with signed requests goes on, also where a stranger has the same address.
    assert.equal((await signed("192.0.2.1", user)).status, 200);
    assert.equal((await signed("192.0.2.2", other)).status, 200);
  });

  it("T-53 counts them by the square of the key's length", async () => {
    const { send } = server();
    const { base64 } = newUser(4096);
    const headers = { ...JSON_TYPE, Signature: "sig=:AAAA:", "Signature-Input": "sig=1" };
    const statuses: number[] = [];
    while (statuses.at(-1) !== 429) {
      statuses.push((await send("192.0.2.1", syncBody({ base64 }), headers)).status);
    }
    // The bytes of this key, and of one of 2048 bits.
    const cost = (550 / 294) ** 2;
    assert.equal(statuses.length - 1, Math.ceil((BURST - 1) / cost));
  });
});
