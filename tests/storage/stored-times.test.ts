/** When objects of a folder were stored: what lists say of it, wherever an object has moved since. */
import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { promisify } from "node:util";
import { makeJournalFolder } from "../../storage/data-folder.ts";
import type { StorageReader } from "../../storage/driver.ts";
import { FilesystemDriver } from "../../storage/filesystem.ts";
import { DiskFolder, openReserve } from "../../storage/journal/disk-folder.ts";
import { JournaledDriver } from "../../storage/journal/journaled-driver.ts";
import { openStorage, openToRead } from "../../storage/open.ts";
import { inTime } from "../support/deadline.ts";
import { temporaryFolder } from "../support/folder.ts";
import { commandFor, commandImporting, projectFolder } from "../support/process.ts";
import { someFingerprint } from "../support/users.ts";

const LONG_AGO = Date.UTC(2024, 1, 29, 12, 30, 15, 250);
const body = new TextEncoder().encode("payload");
const OPEN = new URL("./journal/open.ts", import.meta.url).href;

async function timesOf(
  storage: Pick<StorageReader, "list">,
): Promise<Map<string, number | undefined>> {
  const listed = await storage.list("", true);
  return new Map(listed.map(({ name, storedAt }) => [name, storedAt]));
}

describe("the time at which an object was stored in a folder", () => {
  let temporary: ReturnType<typeof temporaryFolder>;
  let root: string;
  const user = someFingerprint();
  const name = `${user}.a`;
  const pathOf = (object: string) => join(root, user, object);

  /** Opens the folder with a journal, under a clock that stands. */
  const openAt = async (time: number, journal = true) => {
    const files = await FilesystemDriver.open(root);
    return JournaledDriver.open({
      files,
      folder: new DiskFolder({
        path: join(root, ".journal"),
        reserve: await openReserve(join(root, ".tmp")),
        prepare: () => makeJournalFolder(root, files.owners),
      }),
      onDamage: () => assert.fail("a journal is damaged"),
      onError: (error) => {
        throw error;
      },
      clock: () => time,
      timing: { rest: 0, keep: 0, adoptAfter: 0 },
      journal,
    });
  };

  beforeEach(() => {
    temporary = temporaryFolder();
    root = join(temporary.path, "data");
  });
  afterEach(() => temporary.remove());

  it("is that of its commit while it is in a journal, for its process and for others", async () => {
    const first = await openAt(LONG_AGO);
    await first.put(name, body);
    const second = await openAt(LONG_AGO + 60_000);
    await second.put(`${user}.b`, body);
    const expected = new Map([
      [name, LONG_AGO],
      [`${user}.b`, LONG_AGO + 60_000],
    ]);
    const reader = await openToRead(root, () => undefined);
    for (const storage of [first, second, reader])
      assert.deepEqual(await timesOf(storage), expected);
    // Nobody else pays for it.
    assert.deepEqual(await first.list(name), [{ name, size: 7 }]);
    await Promise.all([first.close(), second.close(), reader.close()]);
  });

  it("stays the same when the object leaves its journal and becomes a file", async () => {
    const before = await openAt(LONG_AGO);
    await before.put(name, body);
    await before.close();
    const after = await openAt(Date.now(), false);
    assert.ok(statSync(pathOf(name)).isFile());
    assert.equal((await timesOf(after)).get(name), LONG_AGO);
    await after.close();
  });

  it("stays the same when a file is stored anew because nobody vouches for it", async () => {
    const driver = await FilesystemDriver.open(root);
    await driver.put(name, body);
    utimesSync(pathOf(name), LONG_AGO / 1000, LONG_AGO / 1000);
    chmodSync(pathOf(name), 0o400);
    assert.equal((await timesOf(driver)).get(name), LONG_AGO);
    assert.equal(statSync(pathOf(name)).mode & 0o777, 0o600);
    assert.equal((await timesOf(driver)).get(name), LONG_AGO);
    await driver.close();
  });

  it("stays the same when its process is killed, and another one makes files of the journal", async () => {
    const command = commandImporting(OPEN, join("tests", "support", "put-process.ts"));
    const [file = "", ...args] = [...command, "Folder", root, user, "1000000", "4"];
    const since = Date.now();
    const child = spawn(file, args, { cwd: projectFolder, stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    const enough = new Promise<void>((resolve) => {
      child.stdout.on("data", (data) => {
        output += data;
        if (output.split("stored ").length > 40) resolve();
      });
    });
    const closed = once(child, "close");
    await inTime(Promise.race([enough, closed]), () => "40 objects are stored");
    child.kill("SIGKILL");
    await closed;
    const reader = await openToRead(root, () => undefined);
    const before = await timesOf(reader);
    await reader.close();
    const driver = await openStorage(root, undefined, { journal: false });
    const after = await timesOf(driver);
    const stored = [...output.matchAll(/stored (\S+)\n/g)].map(([, object = ""]) => object);
    assert.ok(stored.length >= 40);
    for (const object of stored) {
      const time = before.get(object);
      // The clock of files lags behind by some milliseconds.
      assert.ok(time !== undefined && time >= since - 1000 && time <= Date.now(), `${time}`);
      assert.ok(statSync(pathOf(object)).isFile());
      assert.equal(after.get(object), time);
    }
    await driver.close();
  });

  it("is what the file says, however wrong the clock was", async () => {
    const driver = await FilesystemDriver.open(root);
    await driver.put(name, body);
    for (const time of [0, Date.UTC(2200, 0, 1)]) {
      utimesSync(pathOf(name), time / 1000, time / 1000);
      assert.equal((await timesOf(driver)).get(name), time);
    }
    await driver.close();
  });

  const log = "/dev/null";
  const trace = ["-f", "-qq", "-o", log, "-e", "trace=utimensat", "-e"];
  const watches = spawnSync("strace", [...trace, "inject=utimensat:error=EPERM", "true"]);
  const unwatched = watches.status === 0 ? "" : " (skipped: strace is missing or not allowed)";
  it(`is the present where the file system refuses another one${unwatched}`, {
    skip: unwatched !== "",
  }, async () => {
    const since = Date.now();
    const put = [...commandFor(join("tests", "support", "dated-process.ts")), root, name];
    for (const error of ["EPERM", "EOPNOTSUPP"]) {
      const command = [...trace, `inject=utimensat:error=${error}`, ...put, `${LONG_AGO}`];
      await promisify(execFile)("strace", command, { cwd: projectFolder });
      const driver = await FilesystemDriver.open(root);
      const found = (await timesOf(driver)).get(name);
      assert.ok(found !== undefined && found > since - 1000, `${found}`);
      await driver.delete(name);
      await driver.close();
    }
    const failing = [...trace, "inject=utimensat:error=EIO", ...put, `${LONG_AGO}`];
    await assert.rejects(promisify(execFile)("strace", failing, { cwd: projectFolder }));
    const driver = await FilesystemDriver.open(root);
    assert.deepEqual(await driver.list(""), []);
    await driver.close();
  });
});
