/** The contract of a store on each store, and what only a folder store has to handle. */
import assert from "node:assert/strict";
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type Identity, MemoryStore, type Store, StoreDamaged } from "../../client/index.ts";
import { FolderStore } from "../../client/stores/folder.ts";
import { temporaryFolder } from "../support/folder.ts";
import { someFingerprint } from "../support/users.ts";
import { storeCases } from "./store-contract.ts";

/** A store needs the fingerprint alone. */
const user: Pick<Identity, "fingerprint"> = { fingerprint: someFingerprint() };
const CLIENT = "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11";
const NEXT = "8e1d0c5a-3f0b-4b8e-9d3e-2f6f1f7b9c22";

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
      const place = join(path, user.fingerprint, "0");
      for (const name of [`${NEXT}.tmp`, `${NEXT}.log`]) writeFileSync(join(place, name), "half");
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
      symlinkSync(elsewhere, join(path, user.fingerprint, "0"));
      await assert.rejects(FolderStore.open(path, user), StoreDamaged);
      assert.deepEqual(readdirSync(elsewhere), [`${NEXT}.tmp`]);
    }));

  it("takes over the slot of a process that has died", () =>
    inFolder(async (path) => {
      const store = await FolderStore.open(path, user);
      await store.begin(CLIENT);
      await store.close();
      const host = hostname().replace(/[^A-Za-z0-9-]/g, "_");
      // A process id that no process has, and the lock of an earlier process with this id.
      const place = join(path, user.fingerprint, "0");
      for (const pid of [2 ** 22 + 1, process.pid]) {
        writeFileSync(join(place, `claim.${host}.${pid}.${CLIENT}`), "");
      }
      const again = await FolderStore.open(path, user);
      assert.equal((await again.load()).own.length, 1);
      await again.close();
      // The process of another machine may be alive.
      writeFileSync(join(place, `claim.nowhere.1.${CLIENT}`), "");
      const beside = await FolderStore.open(path, user);
      assert.deepEqual((await beside.load()).own, []);
      await beside.close();
    }));

  const torn: readonly [string, string][] = [
    ["half a payload", "cGF5bG9"],
    ["zeros", `${"\0".repeat(64)}\n`],
    ["a payload and zeros", `cGF5bG9hZA\n${"\0".repeat(4096)}`],
  ];
  for (const [what, bytes] of torn) {
    it(`removes ${what} that a crash left after the last append`, () =>
      inFolder(async (path) => {
        const store = await FolderStore.open(path, user);
        await store.begin(CLIENT);
        await store.append(CLIENT, 0, ["zero", "one"]);
        await store.close();
        appendFileSync(join(path, user.fingerprint, "0", `${CLIENT}.log`), bytes);
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

  it("reports lost acknowledged operations and an unreadable state as damage", () =>
    inFolder(async (path) => {
      const store = await FolderStore.open(path, user);
      await store.begin(CLIENT);
      await store.append(CLIENT, 0, ["zero", "one"]);
      await store.acknowledge(CLIENT, 2);
      await store.close();
      const place = join(path, user.fingerprint, "0");
      const log = readFileSync(join(place, `${CLIENT}.log`));
      truncateSync(join(place, `${CLIENT}.log`), 6);
      await assert.rejects(FolderStore.open(path, user), StoreDamaged);
      writeFileSync(join(place, `${CLIENT}.log`), log);
      await (await FolderStore.open(path, user)).close();
      writeFileSync(join(place, "state.json"), "{");
      await assert.rejects(FolderStore.open(path, user), StoreDamaged);
    }));

  it("does not change a log that has lost acknowledged operations in the middle", () =>
    inFolder(async (path) => {
      const store = await FolderStore.open(path, user);
      await store.begin(CLIENT);
      await store.append(CLIENT, 0, ["zero", "one", "two", "three"]);
      await store.acknowledge(CLIENT, 3);
      await store.close();
      const log = join(path, user.fingerprint, "0", `${CLIENT}.log`);
      writeFileSync(log, "zero\no e\ntwo\nthree\n");
      await assert.rejects(FolderStore.open(path, user), StoreDamaged);
      assert.equal(readFileSync(log, "utf8"), "zero\no e\ntwo\nthree\n");
      writeFileSync(log, "zero\none\ntwo\nthr e\n");
      const repaired = await FolderStore.open(path, user);
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
      const place = join(path, user.fingerprint, "0");
      // Before the state is replaced: the new log is there, and counts for nothing.
      writeFileSync(join(place, `${NEXT}.log`), "one-anew\ntwo-anew\n");
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
        { client: NEXT, length: 2, acknowledged: 0, highWater: 0 },
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
