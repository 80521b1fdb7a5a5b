/** The contract of a store on each store, and what only a folder store has to handle. */
import assert from "node:assert/strict";
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { basename, join } from "node:path";
import { describe, it } from "node:test";
import { type FolderDamage, FolderStore, type HeldFolder } from "../../client/folder.ts";
import { type Identity, type Store, StoreDamaged } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { someCursor } from "../support/cursors.ts";
import { temporaryFolder } from "../support/folder.ts";
import { someFingerprint } from "../support/users.ts";
import { storeCases } from "./store-contract.ts";

/** A store needs the fingerprint alone. */
const user: Pick<Identity, "fingerprint"> = { fingerprint: someFingerprint() };
const CLIENT = "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11";
const NEXT = "8e1d0c5a-3f0b-4b8e-9d3e-2f6f1f7b9c22";

/** The folder of the first slot. */
const slotIn = (path: string) => join(path, user.fingerprint, "0");

/** Makes a store with one client id, and closes it. Returns the folder of its slot. */
async function makeStore(path: string): Promise<string> {
  const store = await FolderStore.open(path, user);
  await store.begin(CLIENT);
  await store.close();
  return slotIn(path);
}

/** How many client ids the first free slot has. */
async function clientsIn(path: string): Promise<number> {
  const store = await FolderStore.open(path, user);
  const { own } = await store.load();
  await store.close();
  return own.length;
}

/** The name of this machine, as a lock has it. */
const host = hostname().replace(/[^A-Za-z0-9-]/g, "_");

describe("a store in memory", () => {
  for (const { name, run } of storeCases) {
    it(name, async () => {
      const store: Store = new MemoryStore();
      await run({ open: async () => store, shared: false });
    });
  }
});

describe("a store in a folder", () => {
  for (const { name, run } of storeCases) {
    it(name, () =>
      inFolder((path) => run({ open: () => FolderStore.open(path, user), shared: true })),
    );
  }

  it("says that it is closed, whatever is asked of it then", () =>
    inFolder(async (path) => {
      const store = await FolderStore.open(path, user);
      await store.begin(CLIENT);
      await store.append(CLIENT, 0, ["zero"]);
      await store.close();
      const closed = /^Error: the store in \S+ is closed: open it again$/;
      await assert.rejects(store.load(), closed);
      await assert.rejects(store.append(CLIENT, 1, ["one"]), closed);
      await assert.rejects(store.read(CLIENT, 0, 1, 1000), closed);
      await store.close();
      const again = await FolderStore.open(path, user);
      assert.deepEqual(await again.read(CLIENT, 0, 9, 1000), ["zero"]);
      await again.close();
    }));

  it("keeps users apart", () =>
    inFolder(async (path) => {
      const mine = await FolderStore.open(path, user);
      await mine.begin(CLIENT);
      const theirs = await FolderStore.open(path, { fingerprint: someFingerprint() });
      assert.deepEqual((await theirs.load()).own, []);
      await mine.close();
      await theirs.close();
    }));

  it("deletes what was never finished, and no file that it has not made", () =>
    inFolder(async (path) => {
      await (await FolderStore.open(path, user)).close();
      const place = slotIn(path);
      writeFileSync(join(place, `${NEXT}.tmp`), "half");
      writeFileSync(join(place, `${NEXT}.log`), "");
      for (const name of ["cache.tmp", "system.log"]) writeFileSync(join(place, name), "precious");
      await (await FolderStore.open(path, user)).close();
      assert.deepEqual(readdirSync(place).sort(), ["cache.tmp", "system.log"]);
    }));

  it("does not open through a link, and deletes nothing where it leads", () =>
    inFolder(async (path) => {
      const elsewhere = join(path, "elsewhere");
      mkdirSync(elsewhere);
      writeFileSync(join(elsewhere, `${NEXT}.tmp`), "precious");
      mkdirSync(join(path, user.fingerprint));
      symlinkSync(elsewhere, slotIn(path));
      await assert.rejects(FolderStore.open(path, user), StoreDamaged);
      assert.deepEqual(readdirSync(elsewhere), [`${NEXT}.tmp`]);
    }));

  it("takes over the slot of a process that has died", () =>
    inFolder(async (path) => {
      const place = await makeStore(path);
      // A process id that no process has, and the lock of an earlier process with this id.
      for (const pid of [2 ** 22 + 1, process.pid]) {
        writeFileSync(join(place, `claim.${host}.${pid}.${CLIENT}`), "");
      }
      assert.equal(await clientsIn(path), 1);
      // The process of another machine may be alive.
      writeFileSync(join(place, `claim.nowhere.1.${CLIENT}`), "");
      assert.equal(await clientsIn(path), 0);
    }));

  const torn: readonly [string, string][] = [
    ["half a payload", "cGF5bG9"],
    ["zeros", `${"\0".repeat(64)}\n`],
    ["zeros, and more of them", `${"\0".repeat(64)}\n${"\0".repeat(64)}\n\0`],
    ["a payload and zeros", `cGF5bG9hZA\n${"\0".repeat(4096)}`],
  ];
  for (const [what, bytes] of torn) {
    it(`removes ${what} that a crash left after the last append`, () =>
      inFolder(async (path) => {
        const store = await FolderStore.open(path, user);
        await store.begin(CLIENT);
        await store.append(CLIENT, 0, ["zero", "one"]);
        await store.close();
        appendFileSync(join(slotIn(path), `${CLIENT}.log`), bytes);
        const again = await FolderStore.open(path, user);
        const [own] = (await again.load()).own;
        const length = own?.length ?? 0;
        assert.ok(length === 2 || (length === 3 && bytes.startsWith("cGF5bG9hZA\n")));
        await again.append(CLIENT, length, ["next"]);
        assert.deepEqual(await again.read(CLIENT, length - 1, 2, 1000), [
          length === 2 ? "one" : "cGF5bG9hZA",
          "next",
        ]);
        await again.close();
      }));
  }

  it("returns no operation whose bytes have changed since it was opened", () =>
    inFolder(async (path) => {
      const store = await FolderStore.open(path, user);
      await store.begin(CLIENT);
      await store.append(CLIENT, 0, ["zero", "one"]);
      const log = join(slotIn(path), `${CLIENT}.log`);
      for (const damaged of [
        "zero\no?e\n",
        "zero\n\0ne\n",
        "ze\no\none\n",
        "ze\no\nonex",
        "zero",
      ]) {
        writeFileSync(log, damaged);
        await assert.rejects(store.read(CLIENT, 0, 2, 1000), StoreDamaged);
      }
      await store.close();
    }));

  it("takes over the slot of a process that is not there any more, whatever its lock says", () =>
    inFolder(async (path) => {
      const place = await makeStore(path);
      const longAgo = new Date(Date.now() - 120_000);
      // The host has another name since, or the process id belongs to another program.
      for (const name of [`claim.before.1.${CLIENT}`, `claim.${host}.${process.ppid}.${CLIENT}`]) {
        writeFileSync(join(place, name), "");
        assert.equal(await clientsIn(path), 0, "it may live");
        utimesSync(join(place, name), longAgo, longAgo);
        assert.equal(await clientsIn(path), 1, name);
        assert.deepEqual(
          readdirSync(place).filter((one) => one.startsWith("claim")),
          [],
        );
      }
    }));

  it("says of a slot that may have been left, and may be in use, when it will be taken over", () =>
    inFolder(async (path) => {
      const place = await makeStore(path);
      const heldAt = async (name: string, age: number) => {
        const then = new Date(Date.now() - age);
        writeFileSync(join(place, name), "");
        utimesSync(join(place, name), then, then);
        const held: HeldFolder[] = [];
        const store = await FolderStore.open(path, user, { onHeld: (one) => held.push(one) });
        assert.deepEqual(await store.abandoned(), []);
        await store.close();
        rmSync(join(place, name));
        for (const { until } of held) assert.ok(until.getTime() > then.getTime() + 30_000);
        return held.map(({ folder, host }) => ({ folder, host }));
      };
      const other = `claim.before.1.${CLIENT}`;
      const same = `claim.${host}.${process.ppid}.${CLIENT}`;
      assert.deepEqual(await heldAt(other, 0), [{ folder: place, host: "before" }]);
      assert.deepEqual(await heldAt(same, 40_000), [{ folder: place, host }]);
      // A process of this host that renews its lock.
      assert.deepEqual(await heldAt(same, 0), []);
    }));

  it("changes nothing any more once another process has taken over its slot", () =>
    inFolder(async (path) => {
      const { now } = Date;
      try {
        const store = await FolderStore.open(path, user);
        await store.begin(CLIENT);
        const place = slotIn(path);
        for (const name of readdirSync(place)) {
          if (name.startsWith("claim")) rmSync(join(place, name));
        }
        // The process was stopped for a minute.
        Date.now = () => now() + 60_000;
        await assert.rejects(store.append(CLIENT, 0, ["zero"]), /taken over/);
        await assert.rejects(store.acknowledge(CLIENT, 0), /taken over/);
        assert.equal(readFileSync(join(place, `${CLIENT}.log`), "utf8"), "");
        await store.close();
      } finally {
        Date.now = now;
      }
    }));

  /** A store with three operations, of which two are acknowledged, and what a fault made of it. */
  const damaged = (readable: number, damage: (place: string) => void) =>
    inFolder(async (path) => {
      const store = await FolderStore.open(path, user);
      await store.begin(CLIENT);
      await store.append(CLIENT, 0, ["zero", "one", "two"]);
      await store.acknowledge(CLIENT, 2);
      await store.close();
      const place = slotIn(path);
      damage(place);
      const before = new Map(
        readdirSync(place).map((name) => [name, readFileSync(join(place, name))]),
      );
      const found: FolderDamage[] = [];
      const again = await FolderStore.open(path, user, { onDamaged: (one) => found.push(one) });
      const [{ folder, operations } = assert.fail("it was not reported")] = found;
      for (const [name, bytes] of before) assert.deepEqual(readFileSync(join(folder, name)), bytes);
      const { own, cursors } = await again.load();
      assert.deepEqual(cursors, []);
      assert.equal(own.length, 2);
      assert.deepEqual(own[0], {
        client: CLIENT,
        length: operations,
        acknowledged: 0,
        highWater: operations,
      });
      assert.notEqual(own[1]?.client, CLIENT);
      const payloads = await again.read(CLIENT, 0, 10, 1000);
      assert.deepEqual(payloads, ["zero", "one", "two"].slice(0, operations));
      await again.append(own[1]?.client ?? "", 0, ["next"]);
      await again.close();
      const after = await FolderStore.open(path, user, { onDamaged: () => assert.fail() });
      assert.equal((await after.load()).own.length, 2);
      await after.close();
      assert.equal(operations, readable);
    });

  const received = (cursor: object, other: object = {}) =>
    `"received":[${JSON.stringify({ cursor: { ...someCursor(NEXT, 0), ...cursor }, bytes: 0, ...other })}]`;
  const withHead = (head: object) =>
    received({ heads: [{ client: NEXT, index: 0, tag: someCursor(NEXT, 0).tag, ...head }] });
  /** Replaces a part of the state. */
  const edit = (part: string | RegExp, by: string) => (place: string) => {
    const file = join(place, "state.json");
    const text = readFileSync(file, "utf8");
    assert.notEqual(text.replace(part, by), text);
    writeFileSync(file, text.replace(part, by));
  };

  const damages: readonly [string, number, (place: string) => void][] = [
    [
      "a state that is half",
      3,
      (place) => writeFileSync(join(place, "state.json"), '{"version":1'),
    ],
    ["an empty state", 3, (place) => writeFileSync(join(place, "state.json"), "")],
    ["a state of zeros", 3, (place) => writeFileSync(join(place, "state.json"), "\0".repeat(99))],
    ["a state that is none", 3, (place) => writeFileSync(join(place, "state.json"), "null")],
    ["a state without a part", 3, (place) => writeFileSync(join(place, "state.json"), "{}")],
    ["a log that is cut", 1, (place) => truncateSync(join(place, `${CLIENT}.log`), 6)],
    [
      "a log with a damaged operation",
      1,
      (place) => writeFileSync(join(place, `${CLIENT}.log`), "zero\no e\ntwo\n"),
    ],
    [
      "a log with a damaged operation that was not sent",
      2,
      (place) => writeFileSync(join(place, `${CLIENT}.log`), "zero\none\nt o\n"),
    ],
    ["a lost state", 3, (place) => rmSync(join(place, "state.json"))],
    ["a state without a client id", 3, edit(/"own":\[.*?\]/, '"own":[]')],
    ["a state with another client id", 3, edit(CLIENT, NEXT)],
    ["a state with a client id that is none", 3, edit(CLIENT, "../../elsewhere")],
    ["a state with null", 3, edit(/"own":\[.*?\]/, '"own":[null]')],
    ["a count that is a text", 3, edit('"acknowledged":2', '"acknowledged":"2"')],
    ["a count without its name", 3, edit("acknowledged", "acknowledgee")],
    ["more acknowledged than there was", 3, edit('"acknowledged":2', '"acknowledged":3')],
    ["a cursor of no client", 3, edit('"received":[]', received({ client: undefined }))],
    ["a cursor below 0", 3, edit('"received":[]', received({ index: -1 }))],
    ["a cursor without a session", 3, edit('"received":[]', received({ session: undefined }))],
    ["a cursor that continues nothing", 3, edit('"received":[]', received({ continues: [{}] }))],
    ["a cursor whose tag is too short", 3, edit('"received":[]', received({ tag: "AAAA" }))],
    ["a cursor with a head of nothing", 3, edit('"received":[]', received({ heads: [{}] }))],
    ["a cursor with heads that are no list", 3, edit('"received":[]', received({ heads: {} }))],
    ["a cursor with a head below 0", 3, edit('"received":[]', withHead({ index: -1 }))],
    ["a cursor with a head of no client", 3, edit('"received":[]', withHead({ client: "C" }))],
    [
      "a cursor with a head whose tag has a bit flipped",
      3,
      edit('"received":[]', withHead({ tag: "AAAAAAAAAAAAAAAAAAAAA?" })),
    ],
    ["a start that is no cursor", 3, edit('"received":[]', received({}, { start: {} }))],
    ["a length that is a text", 3, edit('"received":[]', received({}, { bytes: "0" }))],
    ["what was received, as null", 3, edit('"received":[]', '"received":[null]')],
  ];
  for (const [what, readable, damage] of damages) {
    it(`sets ${what} aside, says so, and sends again what can be read`, () =>
      damaged(readable, damage));
  }

  it("reports that a log is missing, though nothing of it was acknowledged", () =>
    inFolder(async (path) => {
      const store = await FolderStore.open(path, user);
      await store.begin(CLIENT);
      await store.append(CLIENT, 0, ["zero"]);
      await store.close();
      rmSync(join(slotIn(path), `${CLIENT}.log`));
      const [own, [{ reason, operations } = assert.fail("it was not reported")]] =
        await reopen(path);
      assert.deepEqual([own, operations], [[], 0]);
      assert.match(reason, /missing/);
    }));

  it("finishes a move whose state was saved", () =>
    inFolder(async (path) => {
      const store = await FolderStore.open(path, user);
      await store.begin(CLIENT);
      await store.append(CLIENT, 0, ["zero", "one", "two"]);
      await store.move({ from: CLIENT, length: 1, to: NEXT, payloads: ["one-anew", "two"] });
      await store.close();
      const place = slotIn(path);
      renameSync(join(place, `${NEXT}.log`), join(place, `${NEXT}.tmp`));
      appendFileSync(join(place, `${CLIENT}.log`), "one\ntwo\n");
      assert.deepEqual(await reopen(path), [[`1 of ${CLIENT}`, `2 of ${NEXT}`], []]);
      assert.deepEqual(await reopen(path), [[`1 of ${CLIENT}`, `2 of ${NEXT}`], []]);
    }));

  /** Opens a store and closes it. Returns its client ids with operations, and what was reported. */
  async function reopen(path: string): Promise<[readonly string[], readonly FolderDamage[]]> {
    const found: FolderDamage[] = [];
    const store = await FolderStore.open(path, user, { onDamaged: (one) => found.push(one) });
    const { own } = await store.load();
    await store.close();
    return [
      own.flatMap(({ client, length }) => (length > 0 ? [`${length} of ${client}`] : [])),
      found,
    ];
  }

  /** A slot with two operations whose state a fault has emptied. */
  async function makeDamaged(path: string): Promise<string> {
    const store = await FolderStore.open(path, user);
    await store.begin(CLIENT);
    await store.append(CLIENT, 0, ["zero", "one"]);
    await store.close();
    writeFileSync(join(slotIn(path), "state.json"), "");
    return slotIn(path);
  }

  it("loses nothing of a damaged slot that cannot be copied yet, and reports it then", () =>
    inFolder(async (path) => {
      const place = await makeDamaged(path);
      const obstacle = join(place, `${NEXT}.log`);
      mkdirSync(obstacle);
      await assert.rejects(reopen(path));
      await assert.rejects(reopen(path));
      rmSync(obstacle, { recursive: true });
      const [own, [{ folder, operations } = assert.fail("it was not reported"), ...more]] =
        await reopen(path);
      assert.deepEqual([own, operations, more], [[`2 of ${CLIENT}`], 2, []]);
      assert.deepEqual(readdirSync(folder).sort(), [`${CLIENT}.log`, "state.json"]);
      assert.deepEqual(readdirSync(join(path, user.fingerprint)).sort(), ["0", basename(folder)]);
    }));

  it("completes and reports the repair of a slot again if the first one did not count", () =>
    inFolder(async (path) => {
      const place = await makeDamaged(path);
      // A copy that a crash cut short, and one that was whole, as was the report.
      mkdirSync(`${place}.unfinished`);
      writeFileSync(join(`${place}.unfinished`, `${NEXT}.log`), "half");
      const onDamaged = () => assert.fail("crash");
      await assert.rejects(FolderStore.open(path, user, { onDamaged }), /crash/);
      const [own, found] = await reopen(path);
      assert.deepEqual([own, found.length], [[`2 of ${CLIENT}`], 1]);
      const names = readdirSync(join(path, user.fingerprint));
      assert.deepEqual(
        names.filter((name) => !name.startsWith("0.damaged-")),
        ["0"],
      );
    }));

  it("finishes the repair of a slot whose new state was saved", () =>
    inFolder(async (path) => {
      const place = await makeDamaged(path);
      appendFileSync(join(place, `${CLIENT}.log`), "t wo\nthree\n");
      await reopen(path);
      // Before the log is cut.
      appendFileSync(join(place, `${CLIENT}.log`), "t wo\nthree\n");
      assert.deepEqual(await reopen(path), [[`2 of ${CLIENT}`], []]);
      assert.equal(readFileSync(join(place, `${CLIENT}.log`), "utf8"), "zero\none\n");
    }));

  it("sends an operation that had moved to another client id under that one alone", () =>
    inFolder(async (path) => {
      const store = await FolderStore.open(path, user);
      await store.begin(CLIENT);
      await store.append(CLIENT, 0, ["zero", "one"]);
      await store.acknowledge(CLIENT, 1);
      await store.move({ from: CLIENT, length: 1, to: NEXT, payloads: ["one-anew", "two"] });
      await store.acknowledge(NEXT, 2);
      await store.close();
      const place = slotIn(path);
      writeFileSync(join(place, `${NEXT}.log`), "one-anew\n");
      const state = readFileSync(join(place, "state.json"), "utf8");
      writeFileSync(join(place, "state.json"), reversed(state));
      appendFileSync(join(place, `${CLIENT}.log`), "one\n");
      const [own] = await reopen(path);
      assert.deepEqual([...own].sort(), [`1 of ${CLIENT}`, `1 of ${NEXT}`]);
    }));

  it("takes over a damaged slot that another process has left", () =>
    inFolder(async (path) => {
      const stores = [await FolderStore.open(path, user), await FolderStore.open(path, user)];
      await stores[1]?.begin(CLIENT);
      await stores[1]?.append(CLIENT, 0, ["unsent"]);
      for (const store of stores) await store.close();
      writeFileSync(join(path, user.fingerprint, "1", "state.json"), "");
      const found: FolderDamage[] = [];
      const store = await FolderStore.open(path, user, { onDamaged: (one) => found.push(one) });
      const [left] = await store.abandoned();
      assert.deepEqual(await left?.read(CLIENT, 0, 10, 100), ["unsent"]);
      assert.equal(found.length, 1);
      await left?.close();
      await store.close();
    }));

  it("takes over what another process left, whatever lies beside it", () =>
    inFolder(async (path) => {
      const stores: FolderStore[] = [];
      for (let slot = 0; slot < 3; slot++) stores.push(await FolderStore.open(path, user));
      await stores[2]?.begin(CLIENT);
      await stores[2]?.append(CLIENT, 0, ["unsent"]);
      for (const store of stores) await store.close();
      const place = join(path, user.fingerprint);
      const newer = join(place, "1", "state.json");
      writeFileSync(newer, '{"version":4}');
      mkdirSync(join(path, "elsewhere"));
      symlinkSync(join(path, "elsewhere"), join(place, "9"));
      const store = await FolderStore.open(path, user);
      const [left, ...rest] = await store.abandoned();
      assert.deepEqual(await left?.read(CLIENT, 0, 10, 100), ["unsent"]);
      assert.deepEqual(rest, []);
      assert.equal(readFileSync(newer, "utf8"), '{"version":4}');
      await left?.close();
      await store.close();
    }));

  it("does not touch what software of another version wrote", () =>
    inFolder(async (path) => {
      await (await FolderStore.open(path, user)).close();
      const state = join(slotIn(path), "state.json");
      for (const text of ['{"version":1,"own":[],"cursors":[]}', '{"version":4}']) {
        writeFileSync(state, text);
        await assert.rejects(FolderStore.open(path, user), StoreDamaged);
        assert.equal(readFileSync(state, "utf8"), text);
      }
    }));

  it("repairs a log that lost the end of what was not acknowledged", () =>
    inFolder(async (path) => {
      const store = await FolderStore.open(path, user);
      await store.begin(CLIENT);
      await store.append(CLIENT, 0, ["zero", "one", "two", "three"]);
      await store.acknowledge(CLIENT, 3);
      await store.close();
      const log = join(slotIn(path), `${CLIENT}.log`);
      writeFileSync(log, "zero\none\ntwo\nthr e");
      const repaired = await FolderStore.open(path, user, { onDamaged: () => assert.fail() });
      assert.deepEqual((await repaired.load()).own, [
        { client: CLIENT, length: 3, acknowledged: 3, highWater: 3 },
      ]);
      await repaired.close();
    }));

  it("undoes a move that a crash interrupted, and finishes one whose state was saved", () =>
    inFolder(async (path) => {
      const store = await FolderStore.open(path, user);
      await store.begin(CLIENT);
      await store.append(CLIENT, 0, ["zero", "one", "two"]);
      await store.close();
      const place = slotIn(path);
      // Before the state is replaced: the new log is there, and counts for nothing.
      writeFileSync(join(place, `${NEXT}.tmp`), "one-anew\ntwo-anew\n");
      writeFileSync(join(place, `${CLIENT}.tmp`), "{");
      const undone = await FolderStore.open(path, user);
      assert.deepEqual((await undone.load()).own, [
        { client: CLIENT, length: 3, acknowledged: 0, highWater: 0 },
      ]);
      assert.deepEqual(
        readdirSync(place).filter((name) => name.endsWith(".tmp") || name.startsWith(NEXT)),
        [],
      );
      await undone.move({ from: CLIENT, length: 1, to: NEXT, payloads: ["one-anew", "two-anew"] });
      await undone.close();
      // After that, before the old log is cut.
      appendFileSync(join(place, `${CLIENT}.log`), "one\ntwo\n");
      const finished = await FolderStore.open(path, user);
      assert.deepEqual((await finished.load()).own, [
        { client: CLIENT, length: 1, acknowledged: 0, highWater: 0 },
        {
          client: NEXT,
          length: 2,
          acknowledged: 0,
          highWater: 0,
          moved: { from: CLIENT, first: 1, count: 2 },
        },
      ]);
      assert.equal(readFileSync(join(place, `${CLIENT}.log`), "utf8"), "zero\n");
      await finished.close();
    }));
});

async function inFolder(work: (path: string) => Promise<void>): Promise<void> {
  const folder = temporaryFolder();
  try {
    await work(folder.path);
  } finally {
    folder.remove();
  }
}

/** A state that names the client ids in another order. */
function reversed(text: string): string {
  const state = JSON.parse(text);
  return JSON.stringify({ ...state, own: state.own.reverse() });
}
