/** Journals on a disk: what a killed process leaves, damage, and the order of the system's calls. */
import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { keepsBirthTimes, makeJournalFolder } from "../../../storage/data-folder.ts";
import { md5Of, StorageUnavailable } from "../../../storage/driver.ts";
import { FilesystemDriver } from "../../../storage/filesystem.ts";
import { DiskFolder, openReserve } from "../../../storage/journal/disk-folder.ts";
import { HEADER_BYTES } from "../../../storage/journal/header.ts";
import {
  JournaledDriver,
  type JournaledDriverOptions,
} from "../../../storage/journal/journaled-driver.ts";
import { COMMIT_BYTES, type Damage } from "../../../storage/journal/record.ts";
import { openStorage, openToRead } from "../../../storage/open.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { commandImporting, projectFolder } from "../../support/process.ts";
import { share, sharedPositions } from "../../support/share.ts";
import { someFingerprint } from "../../support/users.ts";
import { canWatch } from "../contract/processes.ts";

const OPEN = new URL("./open.ts", import.meta.url).href;
const KILLS = share(18);
/** Acknowledged puts after which a process is killed. */
const STORED = 40;

describe("journals on a disk", () => {
  let temporary: ReturnType<typeof temporaryFolder>;
  let root: string;
  const user = someFingerprint();
  const damage: Damage[] = [];

  const journals = () => join(root, ".journal");
  const open = async (options: Partial<JournaledDriverOptions> = {}) => {
    const files = await FilesystemDriver.open(root);
    return JournaledDriver.open({
      files,
      folder: new DiskFolder({
        path: journals(),
        reserve: await openReserve(join(root, ".tmp")),
        prepare: () => makeJournalFolder(root, files.owners),
      }),
      onDamage: (_, some) => damage.push(some),
      onError: (error) => {
        throw error;
      },
      ...options,
    });
  };
  const command = (prefix: string, count: number, side: number) => [
    ...commandImporting(OPEN, join("tests", "support", "put-process.ts")),
    ...["Folder", root],
    ...[prefix, `${count}`, `${side}`],
  ];

  beforeEach(() => {
    temporary = temporaryFolder();
    root = join(temporary.path, "data");
    mkdirSync(journals(), { recursive: true });
    damage.length = 0;
  });
  afterEach(() => temporary.remove());

  it("lose nothing when processes are killed again and again, and others adopt what they leave", async () => {
    const stored = new Set<string>();
    for (let round = 0; round < KILLS; round++) {
      const [file = "", ...args] = command(`${user}.${round}`, 1_000_000, 8);
      const child = spawn(file, args, { cwd: projectFolder, stdio: ["ignore", "pipe", "ignore"] });
      let output = "";
      const enough = new Promise<void>((resolve) => {
        child.stdout.on("data", (data) => {
          output += data;
          if (output.split("stored ").length > STORED) resolve();
        });
      });
      const closed = once(child, "close");
      await Promise.race([enough, closed]);
      child.kill("SIGKILL");
      await closed;
      for (const [, name = ""] of output.matchAll(/stored (\S+)\n/g)) stored.add(name);
      assert.ok(stored.size >= STORED * (round + 1));

      const timing = { rest: 0, keep: 0, adoptAfter: round % 2 === 0 ? 0 : 1e9 };
      const driver = await open({ timing });
      await driver.maintain();
      const names = new Set((await driver.list(user)).map(({ name }) => name));
      for (const name of stored) assert.ok(names.has(name), `${name} is lost`);
      for (const name of names) {
        assert.equal(Buffer.from(await driver.get(name)).toString(), name);
      }
      await driver.close();
    }
    assert.deepEqual(damage, []);
  });

  it("serve all records but a damaged one, report it, and take it when it is put again", async () => {
    const names = [1, 2, 3].map((i) => `${user}.${i}`);
    const first = await open();
    for (const name of names)
      await first.put(name, Buffer.from(name), { md5: md5Of(Buffer.from(name)) });
    await first.close();
    const [file = ""] = journalsIn(journals());
    const whole = readFileSync(join(journals(), file));
    for (const step of sharedPositions(Math.ceil(whole.byteLength / 5))) {
      const at = 5 * step;
      const broken = Buffer.from(whole);
      broken.writeUInt8(broken.readUInt8(at) ^ (1 << (at % 8)), at);
      writeFileSync(join(journals(), file), broken);
      damage.length = 0;
      const driver = await open();
      const listed = (await driver.list(user)).map(({ name }) => name);
      assert.ok(listed.length >= names.length - (at < HEADER_BYTES ? 0 : 1), `byte ${at}`);
      if (listed.length < names.length) assert.equal(damage.length, 1, `byte ${at}`);
      for (const name of listed) assert.equal(Buffer.from(await driver.get(name)).toString(), name);
      await driver.close();
    }
    const driver = await open();
    for (const name of names) {
      await driver.put(name, Buffer.from(name), { md5: md5Of(Buffer.from(name)) });
      assert.equal(Buffer.from(await driver.get(name)).toString(), name);
    }
    await driver.close();
  });

  it("T-28 follow no link, wait for no pipe, and are not stopped by a folder under their names", async () => {
    const name = `${user}.1`;
    const first = await open();
    await first.put(name, Buffer.from(name));
    const elsewhere = join(temporary.path, "elsewhere.journal");
    writeFileSync(elsewhere, readFileSync(join(journals(), journalsIn(journals())[0] ?? "")));
    symlinkSync(elsewhere, join(journals(), `${randomUUID()}.journal`));
    mkdirSync(join(journals(), `${randomUUID()}.journal`));
    spawnSync("mkfifo", [join(journals(), `${randomUUID()}.journal`)]);
    const second = await open({ timing: { rest: 0, keep: 0, adoptAfter: 0 } });
    for (const driver of [first, second]) {
      assert.deepEqual(
        (await driver.list(user)).map((object) => object.name),
        [name],
      );
    }
    await first.close();
    await second.maintain();
    assert.deepEqual(Buffer.from(await second.get(name)), Buffer.from(name));
    await second.close();
    assert.deepEqual(damage, []);
  });

  it("become files by one start without journals, so that a user's folder can be removed", async () => {
    const others = someFingerprint();
    const names = [`${user}.1`, `${user}.2`, `${others}.1`];
    const first = await openStorage(root);
    for (const name of names) await first.put(name, Buffer.from(name));
    await first.close();
    const second = await openStorage(root, console.warn, { journal: false });
    await second.close();
    for (const name of names) {
      const [folder = ""] = name.split(".");
      assert.equal(readFileSync(join(root, folder, name), "utf8"), name);
    }
    rmSync(join(root, user), { recursive: true });
    const third = await openStorage(root);
    const left = (await third.list("")).map(({ name }) => name);
    await third.close();
    assert.deepEqual(left, [`${others}.1`]);
  });

  it("are kept where files have a time of birth, by which copies are told apart", {
    skip: process.platform !== "linux",
  }, async () => {
    assert.equal(await keepsBirthTimes(temporary.path), true);
  });

  it("lose no object where their header is damaged", async () => {
    const name = `${user}.1`;
    const first = await open();
    await first.put(name, Buffer.from(name));
    await first.close();
    const path = join(journals(), journalsIn(journals())[0] ?? "");
    const whole = readFileSync(path);
    for (const damaged of [Buffer.alloc(HEADER_BYTES), Buffer.alloc(HEADER_BYTES, 7)]) {
      writeFileSync(path, Buffer.concat([damaged, whole.subarray(HEADER_BYTES)]));
      damage.length = 0;
      const driver = await open();
      assert.equal(Buffer.from(await driver.get(name)).toString(), name);
      assert.equal(damage.length, 1);
      await driver.close();
    }
  });

  it("of a format that is not known stop the start, and are left as they are", async () => {
    const first = await openStorage(root);
    await first.put(`${user}.1`, Buffer.from("one"));
    await first.close();
    const path = join(journals(), journalsIn(journals())[0] ?? "");
    const whole = readFileSync(path);
    const newer = Buffer.from(whole.toString("latin1").replaceAll("SYNCJ1", "SYNCJ2"), "latin1");
    writeFileSync(path, newer);
    for (const open of [openStorage, openToRead]) {
      await assert.rejects(
        open(root, () => undefined),
        (error) => {
          assert.ok(error instanceof StorageUnavailable);
          assert.match(
            error.message,
            /format 2, which this version does not know: start the version/,
          );
          return true;
        },
      );
    }
    assert.deepEqual(readFileSync(path), newer);
    writeFileSync(path, whole);
    const again = await openStorage(root);
    assert.equal(Buffer.from(await again.get(`${user}.1`)).toString(), "one");
    await again.close();
  });

  it("are removed where a crash has left them empty, and adopted where a clock was ahead", async () => {
    const first = await open();
    await first.put(`${user}.1`, new Uint8Array(1));
    await first.close();
    const ahead = new Date(Date.now() + 3_600_000);
    for (const file of journalsIn(journals())) {
      utimesSync(join(journals(), file), ahead, ahead);
      // As if its owner had been killed.
      writeFileSync(join(journals(), `${file}.0`), "");
    }
    for (const content of ["", Buffer.alloc(100_000)]) {
      writeFileSync(join(journals(), `${randomUUID()}.journal`), content);
    }
    await setTimeout(20);
    const driver = await open({ timing: { rest: 0, keep: 0, adoptAfter: 10 } });
    await driver.maintain();
    // Its own.
    assert.equal(journalsIn(journals()).length, 1);
    assert.deepEqual(readdirSync(join(root, user)), [`${user}.1`]);
    await driver.close();
  });

  it("are not written to any more once the folder was replaced by a copy", async () => {
    const driver = await open();
    await driver.put(`${user}.1`, new Uint8Array(1));
    cpSync(root, join(temporary.path, "copy"), { recursive: true });
    renameSync(root, join(temporary.path, "old"));
    renameSync(join(temporary.path, "copy"), root);
    await driver.put(`${user}.2`, new Uint8Array(1));
    const second = await open();
    for (const some of [driver, second]) {
      const names = (await some.list(user)).map(({ name }) => name);
      assert.deepEqual(names, [`${user}.1`, `${user}.2`]);
    }
    for (const some of [driver, second]) await some.close();
  });

  it("are read anew where copies have taken their places", async () => {
    const [first, second] = [await open(), await open()];
    const names = async () => (await second.list(user)).map(({ name }) => name);
    await first.put(`${user}.1`, new Uint8Array(1));
    cpSync(root, join(temporary.path, "copy"), { recursive: true });
    await first.put(`${user}.2`, new Uint8Array(1));
    assert.deepEqual(await names(), [`${user}.1`, `${user}.2`]);
    renameSync(root, join(temporary.path, "old"));
    renameSync(join(temporary.path, "copy"), root);
    assert.deepEqual(await names(), [`${user}.1`]);
    for (const some of [first, second]) await some.close();
  });

  it("are found where their folder is made after the start", async () => {
    const first = await open();
    rmdirSync(journals());
    assert.deepEqual(await first.list(user), []);
    const second = await open();
    await second.put(`${user}.1`, new Uint8Array(1));
    assert.equal((await first.list(user)).length, 1);
    rmSync(root, { recursive: true });
    await assert.rejects(first.list(user), StorageUnavailable);
    await first.close();
    await second.close();
  });

  it("leave no claims when they are gone", async () => {
    writeFileSync(join(journals(), `${randomUUID()}.journal.3`), "");
    const driver = await open({ timing: { rest: 0, keep: 0, adoptAfter: 0 } });
    await driver.maintain();
    assert.deepEqual(readdirSync(journals()), []);
    await driver.put(`${user}.1`, new Uint8Array(1));
    assert.equal(readdirSync(journals()).length, 2);
    await driver.close();
  });

  const unwatched = canWatch() ? "" : " (skipped: strace is missing or not allowed)";
  it(`acknowledge a put after the sync of its record, its commit, and a look at the claim${unwatched}`, {
    skip: unwatched !== "",
  }, async () => {
    const log = join(temporary.path, "calls");
    const calls = "trace=pwrite64,write,writev,fdatasync,stat,lstat,newfstatat,statx";
    const watch = ["-f", "-qq", "-y", "-s", "300", "-e", calls, "-o", log];
    await promisify(execFile)("strace", [...watch, ...command(user, 3, 1)], { cwd: projectFolder });
    const lines = readFileSync(log, "utf8").split("\n");
    const find = (what: RegExp, from: number) => {
      const at = lines.findIndex((line, i) => i > from && what.test(line));
      assert.notEqual(at, -1, `${what} after ${lines[from]}`);
      return at;
    };
    const written = String.raw`write(64)?\(\d+<${journals()}/[\w-]+\.journal>`;
    for (let i = 0; i < 3; i++) {
      const begun = find(new RegExp(`write.*"begins ${user}.${i}\\\\n"`), -1);
      const stored = find(new RegExp(`write.*"stored ${user}.${i}\\\\n"`), begun);
      const inOrder = [
        new RegExp(`${written}.*${user}.${i}`),
        /fdatasync\(\d+<\S+\.journal>|fdatasync resumed/,
        new RegExp(`${written}.* ${COMMIT_BYTES}, \\d+(\\) += ${COMMIT_BYTES}| <unfinished)`),
        /stat\w*\(.*\.journal\.0"/,
      ];
      const last = inOrder.reduce((at, what) => find(what, at), begun);
      assert.ok(last < stored, `${lines[last]} comes too late`);
    }
  });
});

function journalsIn(path: string): string[] {
  return readdirSync(path).filter((name) => name.endsWith(".journal"));
}
