import assert from "node:assert/strict";
import { before, beforeEach, describe, it } from "node:test";
import { parseSnapshot } from "../../oplog/names.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { HookedDriver } from "../support/drivers.ts";
import {
  type FullAnswer,
  type InProcessServer,
  inProcessServer,
  newSigningUser,
  type SigningUser,
} from "../support/signing.ts";
import { newClient } from "../support/users.ts";

/** Of answers that are worth a snapshot. */
const LONG = "x".repeat(3000);

describe("a snapshot", () => {
  let user: SigningUser;
  let driver: HookedDriver;
  let server: InProcessServer;
  let client: string;
  before(async () => {
    user = await newSigningUser();
  });
  beforeEach(async () => {
    driver = new HookedDriver(new MemoryDriver());
    server = inProcessServer({}, driver, { time: () => 1_700_000_000_000 });
    client = newClient();
    await server.signed(user, { client_id: client, operation_index: 0, payload: [LONG, LONG] });
  });

  const append = (index: number, covered: number, to = server) =>
    to.signed(user, {
      client_id: client,
      operation_index: index,
      payload: `state ${index}`,
      snapshot: { covers: { [client]: covered } },
    });
  const read = async (from = server) => {
    const answer = await from.signed(user, { client_id: newClient(), snapshots: true });
    return linesOf(answer).map(({ operation_index, snapshot }) => [
      operation_index,
      snapshot !== undefined,
    ]);
  };

  it("T-56 is refused without a signature, also of a user without one before", async () => {
    const stranger = await newSigningUser();
    const id = newClient();
    await server.unsigned(stranger, { client_id: id, operation_index: 0, payload: "zero" });
    const { status, problem } = await server.unsigned(stranger, {
      client_id: id,
      operation_index: 1,
      payload: "state",
      snapshot: { covers: { [id]: 0 } },
    });
    assert.equal(status, 401);
    assert.equal(problem.type, "urn:sync-server:signature-required");
    const names = (await driver.list(stranger.fingerprint)).map(({ name }) => name);
    assert.equal(names.length, 1);
  });

  it("has the time of the server in the name of its marker, and what it covers in the body", async () => {
    assert.equal((await append(2, 1)).status, 200);
    const [{ name } = { name: "" }] = await driver.list(`${user.fingerprint}.snapshot.`);
    assert.equal(parseSnapshot(name)?.at, 1_700_000_000);
    assert.equal(Buffer.from(await driver.get(name)).toString(), `{"${client}":1}`);
  });

  it("is acknowledged after its operation and its marker, in this order", async () => {
    const calls = driver.calls.length;
    await append(2, 1);
    const puts = driver.calls.slice(calls).filter(({ kind }) => kind === "put");
    assert.deepEqual(
      puts.map(({ name }) => name.slice(44, 52)),
      [client.slice(0, 8), "snapshot"],
    );
  });

  it("asks storage for nothing but two puts, and a read of the marker at the first answer that needs it", async () => {
    const calls = driver.calls.length;
    await append(2, 1);
    await read();
    await read();
    const kinds = driver.calls.slice(calls).map(({ kind }) => kind);
    assert.deepEqual(kinds, ["put", "put", "get"]);
    // A poll that lacks little does not look at it.
    const another = inProcessServer({}, driver);
    await another.signed(user, {
      client_id: newClient(),
      sync_status: { [client]: 2 },
      snapshots: true,
    });
    assert.equal(driver.calls.at(-1)?.kind, "list");
  });

  it("is an ordinary operation where the power failed before its marker was stored", async () => {
    driver.before = ({ kind, name }) => {
      if (kind === "put" && name.includes(".snapshot.")) throw new Error("the power failed");
    };
    assert.equal((await append(2, 1)).status, 500);
    driver.before = () => undefined;
    assert.deepEqual(await read(), [
      [0, false],
      [1, false],
      [2, false],
    ]);
    assert.equal((await append(2, 1)).status, 200);
    assert.deepEqual(await read(), [[2, true]]);
  });

  it("gives way to an older one where its marker or its operation cannot be read", async () => {
    await append(2, 1);
    await append(3, 2);
    assert.deepEqual(await read(), [[3, true]]);
    const names = (await driver.list(user.fingerprint)).map(({ name }) => name);
    const isNewest = (name: string) => name.includes(".snapshot.") && name.includes("0003.");
    const newest = names.find(isNewest) ?? assert.fail();
    const marker = await driver.get(newest);
    await damage(newest);
    assert.deepEqual(await read(inProcessServer({}, driver)), [
      [2, true],
      [3, false],
    ]);
    await driver.delete(newest);
    await driver.put(newest, marker);
    const operation = names.find((name) => /\.0{15}3\.[0-9a-f]{32}$/.test(name) && !isNewest(name));
    await damage(operation ?? assert.fail());
    assert.deepEqual(await read(inProcessServer({}, driver)), [[2, true]]);
  });

  it("counts against the quota with its operation and its marker", async () => {
    const bytes = 2 * 4096 + "state 2".length + `{"${client}":1}`.length;
    const used = (await driver.list(user.fingerprint))
      .filter(({ name }) => !name.endsWith(".signed"))
      .reduce((sum, { size }) => sum + size + 4096, 0);
    for (const [quota, status] of [
      [used + bytes - 1, 507],
      [used + bytes, 200],
    ] as const) {
      const settings = { QUOTA_BYTES: String(quota), SIGNATURES: "required" };
      assert.equal((await append(2, 1, inProcessServer(settings, driver))).status, status);
    }
    const settings = { QUOTA_BYTES: String(used + bytes), SIGNATURES: "required" };
    const { problem } = await append(3, 2, inProcessServer(settings, driver));
    assert.equal(problem.used, used + bytes);
  });

  it("is erased with its user", async () => {
    await append(2, 1);
    assert.equal((await server.erase(user)).status, 204);
    const names = (await driver.list(user.fingerprint)).map(({ name }) => name.slice(43, 51));
    assert.deepEqual(names, [".erased."]);
  });

  it("is refused where it does not fit the request, and nothing is stored", async () => {
    const other = newClient();
    const objects = await driver.list("");
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{ snapshot: {} }, /#\/snapshot must be an object with one member/],
      [{ snapshot: { covers: {} } }, /#\/snapshot\/covers must name at least one client/],
      [{ snapshot: { covers: { [other]: 0 } } }, /must name the sender with the index before/],
      [{ snapshot: { covers: { [client]: 2 } } }, /must name the sender with the index before/],
      [{ snapshot: { covers: { [client]: 1, x: 1 } } }, /#\/snapshot\/covers\/x the key must be/],
      [{ snapshot: { covers: { [client]: 1.5 } } }, /must be a whole number/],
      [{ payload: ["a batch"] }, /#\/snapshot needs a payload that is one string/],
      [{ payload: undefined }, /#\/snapshot needs a payload that is one string/],
      [{ snapshots: "yes" }, /#\/snapshots must be true or false/],
    ];
    for (const [members, detail] of wrong) {
      const right = { client_id: client, operation_index: 2, payload: "state" };
      const snapshot = { covers: { [client]: 1 } };
      const { status, problem } = await server.signed(user, { ...right, snapshot, ...members });
      assert.equal(status, 400, JSON.stringify(members));
      assert.match(String(problem.detail), detail);
    }
    assert.deepEqual(await driver.list(""), objects);
  });

  async function damage(name: string): Promise<void> {
    await driver.delete(name);
    await driver.put(name, new TextEncoder().encode("damaged"));
  }
});

interface Line {
  readonly operation_index: number;
  readonly snapshot?: unknown;
}

function linesOf({ status, text }: FullAnswer): Line[] {
  assert.equal(status, 200, text);
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line): Line => JSON.parse(line));
}
