import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { formatSnapshot, parseFloor, parseName, parseSnapshot } from "../../oplog/names.ts";
import { type Driver, md5Of } from "../../storage/driver.ts";
import { FilesystemDriver } from "../../storage/filesystem.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { openStorage } from "../../storage/open.ts";
import { HookedDriver } from "../support/drivers.ts";
import { temporaryFolder } from "../support/folder.ts";
import { newPlace, s3 } from "../support/s3.ts";
import {
  type FullAnswer,
  type InProcessServer,
  inProcessServer,
  newSigningUser,
  type SigningUser,
} from "../support/signing.ts";
import { newClient } from "../support/users.ts";

const START = 1_800_000_000_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const shared = temporaryFolder();
after(() => shared.remove());

const STORAGES: [string, () => Promise<Driver>][] = [
  ["memory", async () => new MemoryDriver()],
  ["a folder", () => FilesystemDriver.open(join(shared.path, "folder"))],
  ["a folder with a journal", () => openStorage(join(shared.path, "journal"))],
];
if (s3 !== undefined) STORAGES.push(["S3", () => openStorage(newPlace())]);

for (const [where, open] of STORAGES) {
  describe(`a server with RETENTION on ${where}`, () => suite(open));
}

function suite(open: () => Promise<Driver>): void {
  let user: SigningUser;
  let driver: HookedDriver;
  let time: number;
  let server: InProcessServer;
  let a: string;
  let b: string;
  const serverWith = (settings: Record<string, string> = {}) =>
    inProcessServer({ RETENTION: "30d", LISTING_TTL: "10ms", ...settings }, driver, {
      time: () => time,
      now: () => time,
    });
  const sync = (members: Record<string, unknown>, to = server) => to.signed(user, members);
  const append = (client: string, index: number, payload: string | string[], to = server) =>
    sync({ client_id: client, operation_index: index, payload, snapshots: true }, to);
  const snapshot = (client: string, index: number, covers: Record<string, number>, to = server) =>
    sync(
      {
        client_id: client,
        operation_index: index,
        payload: "state",
        snapshot: { covers },
        snapshots: true,
      },
      to,
    );
  /** Looks at the log twice: the second time, what lies below new floors is old enough. */
  const sweep = async (on = server) => {
    for (let sweeps = 0; sweeps < 2; sweeps++) {
      await sync({ client_id: newClient(), snapshots: true }, on);
      await on.handler.trimmed();
      time += HOUR;
    }
    await sync({ client_id: newClient(), snapshots: true }, on);
    await on.handler.trimmed();
  };
  /** What is stored: indexes of operations, by client, and how many snapshots. */
  const stored = async () => {
    const names = (await driver.list(user.fingerprint)).map(({ name }) => name);
    const of = (client: string) =>
      names.flatMap((name) => {
        const parts = parseName(name);
        return parts?.client === client ? [[parts.first, parts.last]] : [];
      });
    const snapshots = names.flatMap((name) => parseSnapshot(name) ?? []).length;
    return { a: of(a), b: of(b), snapshots };
  };

  before(async () => {
    driver = new HookedDriver(await open());
  });
  after(() => driver.close());
  beforeEach(async () => {
    user = await newSigningUser();
    driver.calls.length = 0;
    time = START;
    server = serverWith();
    const [first = "", second = ""] = [newClient(), newClient()].sort();
    [a, b] = [first, second];
    for (let index = 0; index < 4; index++) assert.equal((await append(a, index, "a")).status, 200);
    // A segment, of which snapshots cover a part.
    await append(b, 0, ["b 0", "b 1"]);
    await append(b, 2, ["b 2", "b 3", "b 4"]);
    await snapshot(a, 4, { [a]: 3, [b]: 3 });
  });

  it("deletes what an old snapshot and every newer one cover, in whole objects, and nothing else", async () => {
    time += 31 * DAY;
    await sweep();
    // One snapshot is not enough.
    assert.equal((await stored()).a.length, 5);
    await snapshot(a, 5, { [a]: 4, [b]: 2 });
    await sweep();
    assert.deepEqual(await stored(), {
      a: [
        [4, 4],
        [5, 5],
      ],
      b: [[2, 4]],
      snapshots: 2,
    });
  });

  it("deletes nothing while no snapshot is old enough, and nothing at all when it is off", async () => {
    await snapshot(a, 5, { [a]: 4, [b]: 4 });
    time += 29 * DAY;
    await sweep();
    const off = serverWith({ RETENTION: "off" });
    time += 10 * DAY;
    await sweep(off);
    assert.equal((await stored()).a.length, 6);
    assert.ok(
      !(await driver.list(user.fingerprint)).some(({ name }) => parseFloor(name) !== undefined),
    );
    await sweep();
    assert.equal((await stored()).a.length, 2);
  });

  it("deletes nothing for one snapshot, also where a retry had a second server store it again", async () => {
    const other = serverWith({ LISTING_TTL: "1h" });
    await sync({ client_id: newClient() }, other);
    const covers = { [a]: 4, [b]: 4 };
    assert.equal((await snapshot(b, 5, covers)).status, 200);
    time += 3000;
    assert.equal((await snapshot(b, 5, covers, other)).status, 200);
    const [first] = await driver.list(`${user.fingerprint}.snapshot.`);
    await driver.delete(first?.name ?? assert.fail());
    time += 31 * DAY;
    await sweep();
    const { a: operations, snapshots } = await stored();
    assert.deepEqual([operations.length, snapshots], [5, 2]);
  });

  it("stores the floors first, and deletes what is below them once PACKED_RETENTION has passed", async () => {
    await snapshot(a, 5, { [a]: 4, [b]: 4 });
    time += 31 * DAY;
    driver.calls.length = 0;
    await sync({ client_id: newClient(), snapshots: true });
    await server.handler.trimmed();
    const puts = driver.calls.filter(({ kind }) => kind === "put");
    const floors = puts.map(({ name }) => parseFloor(name));
    assert.deepEqual(
      floors.map((floor) => [floor?.client, floor?.index]),
      [
        [a, 3],
        [b, 1],
      ],
    );
    time += 14 * 60_000;
    await server.handler.trimmed();
    assert.equal(driver.count("delete"), 0);
    time += 2 * 60_000;
    await server.handler.trimmed();
    assert.equal(driver.count("delete"), 5);
  });

  it("asks storage for a list, a read of each marker, a floor for each client, and a delete for each object", async () => {
    await snapshot(a, 5, { [a]: 4, [b]: 4 });
    time += 31 * DAY;
    server = serverWith({ LISTING_TTL: "0" });
    await sync({ client_id: newClient(), snapshots: true });
    const counted = async () => {
      driver.calls.length = 0;
      await server.handler.trimmed();
      const kinds = ["list", "get", "put", "delete"] as const;
      return kinds.map((kind) => driver.count(kind));
    };
    // The second list looks for a tombstone. The newest marker was read for the answer.
    assert.deepEqual(await counted(), [2, 1, 2, 0]);
    time += HOUR;
    assert.deepEqual(await counted(), [1, 0, 0, 5]);
    time += 60 * DAY;
    assert.deepEqual(await counted(), [0, 0, 0, 0]);
  });

  it("answers a reader who lacks what is deleted with a snapshot, or with 409 if it takes none", async () => {
    await snapshot(a, 5, { [a]: 4, [b]: 4 });
    time += 31 * DAY;
    await sweep();
    await append(b, 5, "b 5");
    const reader = newClient();
    const places = linesOf(await sync({ client_id: reader, snapshots: true }));
    assert.deepEqual(places, [
      [a, 5, { [a]: 4, [b]: 4 }],
      [b, 5],
    ]);
    // Also one that lacks only a little of it.
    const sync_status = { [a]: 2, [b]: 4 };
    const little = linesOf(await sync({ client_id: reader, sync_status, snapshots: true }));
    assert.deepEqual(little, places);
    const refused = await sync({ client_id: reader, sync_status });
    assert.equal(refused.status, 409);
    assert.equal(refused.problem.type, "urn:sync-server:snapshot-required");
    const beyond = { client_id: reader, sync_status: { [a]: 3, [b]: 1 } };
    assert.equal(linesOf(await sync(beyond)).length, 6);
  });

  it("stores nothing of an append whose sender lacks what is deleted and takes no snapshot", async () => {
    await snapshot(a, 5, { [a]: 4, [b]: 4 });
    time += 31 * DAY;
    await sweep();
    const before = await driver.list(user.fingerprint);
    const request = { client_id: newClient(), operation_index: 0, payload: "new" };
    assert.equal((await sync(request)).status, 409);
    assert.deepEqual(await driver.list(user.fingerprint), before);
    assert.equal((await sync({ ...request, snapshots: true })).status, 200);
  });

  it("refuses an append and a retry below the floor, and goes on above it where nothing is left", async () => {
    await snapshot(a, 5, { [a]: 4, [b]: 4 });
    await append(b, 5, "b 5");
    await snapshot(a, 6, { [a]: 5, [b]: 5 });
    await snapshot(a, 7, { [a]: 6, [b]: 5 });
    time += 31 * DAY;
    await sweep();
    assert.deepEqual((await stored()).b, []);
    for (const [index, payload] of [
      [0, "b 0"],
      [5, "b 5"],
      [4, ["b 4", "b 5", "b 6"]],
    ] as const) {
      const { status, problem } = await append(b, index, [payload].flat());
      assert.equal(status, 409);
      assert.equal(problem.type, "urn:sync-server:operation-trimmed");
      assert.equal(problem.next_index, 6);
    }
    assert.equal((await append(b, 6, "b 6")).status, 200);
    const gap = await append(b, 8, "b 8");
    assert.equal(gap.problem.next_index, 7);
  });

  it("refuses a snapshot that does not cover what is deleted", async () => {
    await snapshot(a, 5, { [a]: 4, [b]: 4 });
    time += 31 * DAY;
    await sweep();
    const { status, problem } = await snapshot(a, 6, { [a]: 5, [b]: 0 });
    assert.equal(status, 409);
    assert.equal(problem.type, "urn:sync-server:snapshot-refused");
    assert.deepEqual([problem.client_id, problem.next_index], [b, 5]);
    assert.equal((await snapshot(a, 6, { [a]: 5, [b]: 1 })).status, 200);
  });

  it("neither uses nor counts a snapshot that was stored just before a floor above what it covers", async () => {
    await snapshot(a, 5, { [a]: 4, [b]: 4 });
    time += 31 * DAY;
    await sweep();
    await append(b, 5, "b 5");
    // As another server stores it that does not see the floors yet.
    const body = new TextEncoder().encode(`{"${b}":4}`);
    const at = Math.floor(time / 1000);
    const name = { user: user.fingerprint, at, client: b, index: 5, md5: md5Of(body) };
    await driver.put(formatSnapshot(name), body);
    time += 31 * DAY;
    await sweep();
    assert.equal((await stored()).snapshots, 3);
    const lines = linesOf(await sync({ client_id: newClient(), snapshots: true }));
    assert.deepEqual(lines, [
      [a, 5, { [a]: 4, [b]: 4 }],
      [b, 5],
    ]);
  });

  it("deletes what another server has stored below a floor, by an older listing", async () => {
    await snapshot(a, 5, { [a]: 4, [b]: 4 });
    const other = serverWith({ LISTING_TTL: "360h", OBJECT_CACHE_BYTES: "0" });
    await sync({ client_id: newClient() }, other);
    const [first] = await driver.list(`${user.fingerprint}.${a}.`);
    assert.ok(first !== undefined);
    time += 31 * DAY;
    await sweep();
    time = START;
    // It knows the operation from its listing, and that it is gone once it looks.
    const late = await append(a, 0, "a", other);
    assert.equal(late.problem.type, "urn:sync-server:operation-trimmed", late.text);
    time += 40 * DAY;
    await driver.put(first.name, new TextEncoder().encode("a"));
    await sweep();
    assert.ok(!(await driver.list(user.fingerprint)).some(({ name }) => name === first.name));
  });

  it("cuts an answer whose operations are deleted meanwhile, and begins the next with a snapshot", async () => {
    await snapshot(a, 5, { [a]: 4, [b]: 4 });
    const other = serverWith({ OBJECT_CACHE_BYTES: "0" });
    await sync({ client_id: newClient() }, other);
    time += 31 * DAY;
    await sweep();
    // Its listing is from before, so it promises what is gone; nothing was sent, so it says so.
    time = START;
    const answer = await sync({ client_id: newClient(), snapshots: true }, other);
    assert.deepEqual(linesOf(answer), [[a, 5, { [a]: 4, [b]: 4 }]]);
    const { status, problem } = await sync({ client_id: newClient() }, other);
    assert.equal(status, 409);
    assert.equal(problem.type, "urn:sync-server:snapshot-required");
  });

  it("says in its log and its metrics what it has freed", async () => {
    await snapshot(a, 5, { [a]: 4, [b]: 4 });
    time += 31 * DAY;
    await sweep();
    const line = server.log
      .map((text) => JSON.parse(text))
      .find(({ message }) => message === "a log was trimmed");
    assert.deepEqual([line.level, line.objects, line.operations], ["info", 5, 6]);
    assert.equal(line.user, `${user.fingerprint.slice(0, 8)}…`);
    const metrics = await (await server.handler.fetch(new Request("http://x/metrics"))).text();
    assert.match(metrics, /sync_retention_total\{kind="operations"\} 6\n/);
  });

  it("answers 503 while no snapshot can be used, until a device that is aware of everything stores one", async () => {
    await snapshot(a, 5, { [a]: 4, [b]: 4 });
    time += 31 * DAY;
    await sweep();
    for (const { name } of await driver.list(`${user.fingerprint}.snapshot.`)) {
      await driver.delete(name);
    }
    time += HOUR;
    const reader = { client_id: newClient(), snapshots: true };
    const { status, problem } = await sync(reader);
    assert.deepEqual([status, problem.type], [503, "urn:sync-server:storage-unavailable"]);
    assert.match(String(problem.detail), /A device that has them can store another one\.$/);
    const request = { client_id: a, operation_index: 6, payload: "state", snapshots: true };
    const covers = { [a]: 5, [b]: 4 };
    const aware = { sync_status: covers, snapshot: { covers } };
    assert.equal((await sync({ ...request, ...aware })).status, 200);
    assert.deepEqual(linesOf(await sync(reader)), [[a, 6, covers]]);
  });

  it("gives the room back at once", async () => {
    await snapshot(a, 5, { [a]: 4, [b]: 4 });
    const used = async () => {
      const { problem } = await sync(
        { client_id: newClient(), operation_index: 0, payload: "x", snapshots: true },
        serverWith({ QUOTA_BYTES: "1", SIGNATURES: "required" }),
      );
      return Number(problem.used);
    };
    const before = await used();
    time += 31 * DAY;
    await sync({ client_id: newClient(), snapshots: true });
    await server.handler.trimmed();
    assert.ok((await used()) <= before - 5 * 4096);
    assert.equal((await stored()).a.length, 6);
  });

  it("erases a trimmed user without a trace", async () => {
    await snapshot(a, 5, { [a]: 4, [b]: 4 });
    time += 31 * DAY;
    await sweep();
    assert.equal((await server.erase(user)).status, 204);
    const names = (await driver.list(user.fingerprint)).map(({ name }) => name.slice(43, 51));
    assert.deepEqual(names, [".erased."]);
  });
}

interface Line {
  readonly client_id: string;
  readonly operation_index: number;
  readonly snapshot?: { readonly covers: unknown };
}

/** The client and the index of each line, and what it covers where it stands for others. */
function linesOf({ status, text }: FullAnswer): unknown[] {
  assert.equal(status, 200, text);
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line) => {
    const { client_id, operation_index, snapshot }: Line = JSON.parse(line);
    const place = [client_id, operation_index];
    return snapshot === undefined ? place : [...place, snapshot.covers];
  });
}
