import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { md5Of, ObjectUnreadable, StorageUnavailable } from "../../storage/driver.ts";
import { FilesystemDriver } from "../../storage/filesystem.ts";
import { protocolSuite } from "../protocol/protocol-suite.ts";
import { temporaryFolder } from "../support/folder.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { someFingerprint } from "../support/users.ts";
import { crashSuite } from "./crash-suite.ts";
import { driverContract } from "./driver-contract.ts";
import { folderFaults } from "./folder-faults.ts";

const shared = temporaryFolder();
after(() => shared.remove());

driverContract("a folder", {
  open: () => FilesystemDriver.open(join(shared.path, "contract")),
  processes: {
    module: new URL("../../storage/filesystem.ts", import.meta.url).href,
    driver: "FilesystemDriver",
    location: join(shared.path, "contract"),
    files: true,
  },
  faults: folderFaults(FilesystemDriver.open),
  remove: () => undefined,
});

const bun = onlyOn("Bun", "each has the contract above, and the protocol on memory");
describe(`the protocol on a folder${bun.note}`, { skip: bun.skip }, () =>
  protocolSuite("a folder", () => FilesystemDriver.open(join(shared.path, "protocol"))),
);
const { skip, note } = onlyOn(
  "Bun",
  "the contract kills processes on each, and so does the suite with journals",
);
describe(`crashes on a folder without journals${note}`, { skip }, () =>
  crashSuite("a folder", () => join(shared.path, "crash"), { journal: false }),
);

describe("the filesystem driver", () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let root: string;
  let driver: FilesystemDriver;
  const user = someFingerprint();
  const body = new TextEncoder().encode("payload");

  beforeEach(async () => {
    folder = temporaryFolder();
    root = join(folder.path, "deep", "down", "data");
    driver = await FilesystemDriver.open(root);
  });
  afterEach(() => folder.remove());

  it("T-28 keeps each partition in a folder that only its account can read", async () => {
    await driver.put(`${user}.a`, body);
    assert.deepEqual(readdirSync(root).toSorted(), [".tmp", user].toSorted());
    assert.deepEqual(readdirSync(join(root, user)), [`${user}.a`]);
    assert.equal(statSync(join(root, user, `${user}.a`)).mode & 0o777, 0o600);
    assert.equal(statSync(join(root, user)).mode & 0o777, 0o700);
  });

  it("says that one file cannot be read, and replaces it when it is put again", {
    skip: process.platform !== "linux",
  }, async () => {
    const md5 = md5Of(body);
    await driver.put(`${user}.a`, body, { md5 });
    const path = join(root, user, `${user}.b`);
    // Reading this file fails with EIO.
    symlinkSync("/proc/self/mem", path);
    await assert.rejects(driver.get(`${user}.b`), ObjectUnreadable);
    assert.deepEqual(Buffer.from(await driver.get(`${user}.a`)), Buffer.from(body));
    await driver.put(`${user}.b`, body, { md5 });
    assert.deepEqual(Buffer.from(await driver.get(`${user}.b`)), Buffer.from(body));
    // The fault is of the disk where nothing can be stored either.
    unlinkSync(path);
    symlinkSync("/proc/self/mem", path);
    renameSync(join(root, ".tmp"), join(root, "gone"));
    await assert.rejects(
      driver.get(`${user}.b`),
      (error) => error instanceof StorageUnavailable && !(error instanceof ObjectUnreadable),
    );
  });

  it("leaves no temporary file after a put, successful or failed", async () => {
    await driver.put(`${user}.a`, body);
    mkdirSync(join(root, user, `${user}.b`));
    await assert.rejects(driver.put(`${user}.b`, body), StorageUnavailable);
    assert.deepEqual(readdirSync(join(root, ".tmp")), ["reserve"]);
  });

  it("deletes the temporary files that a crash has left when it is opened, and nothing else", async () => {
    const inside = join(root, ".tmp");
    writeFileSync(join(inside, randomUUID()), "pay");
    mkdirSync(join(inside, randomUUID()));
    writeFileSync(join(inside, "precious"), "kept");
    writeFileSync(join(folder.path, "elsewhere"), "kept");
    symlinkSync(join(folder.path, "elsewhere"), join(inside, randomUUID()));
    await FilesystemDriver.open(root);
    assert.equal(readdirSync(inside).filter((name) => name !== "reserve").length, 3);
    assert.equal(readFileSync(join(folder.path, "elsewhere"), "utf8"), "kept");
  });

  it("T-28 does not open where a link is in the place of its temporary files, and deletes nothing", async () => {
    const elsewhere = join(folder.path, "elsewhere");
    const file = join(elsewhere, randomUUID());
    mkdirSync(elsewhere);
    writeFileSync(file, "precious");
    for (const target of [elsewhere, file, "nowhere"]) {
      rmSync(join(root, ".tmp"), { recursive: true });
      symlinkSync(target, join(root, ".tmp"));
      await assert.rejects(FilesystemDriver.open(root), {
        name: "StorageUnavailable",
        message: /\.tmp is a link, and leads out of the storage$/,
      });
      assert.equal(readFileSync(file, "utf8"), "precious");
    }
  });

  it("T-28 neither lists nor stores through a link in the place of a user's folder", async () => {
    const elsewhere = join(folder.path, "elsewhere");
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, `${user}.a`), "secret");
    symlinkSync(elsewhere, join(root, user));
    await assert.rejects(driver.list(`${user}.`), StorageUnavailable);
    await assert.rejects(driver.put(`${user}.b`, body), StorageUnavailable);
    assert.deepEqual(readdirSync(elsewhere), [`${user}.a`]);
  });

  it("T-28 shows no object where a link leads to a file elsewhere, and stores one in its place", async () => {
    await driver.put(`${user}.a`, body);
    const elsewhere = join(folder.path, "elsewhere");
    writeFileSync(elsewhere, "secret");
    symlinkSync(elsewhere, join(root, user, `${user}.b`));
    assert.deepEqual(await driver.list(`${user}.`), [{ name: `${user}.a`, size: 7 }]);
    await driver.put(`${user}.b`, body);
    assert.deepEqual(Buffer.from(await driver.get(`${user}.b`)), Buffer.from(body));
    assert.equal(readFileSync(elsewhere, "utf8"), "secret");
  });

  const notRoot = process.getuid?.() !== 0;
  it(`T-28 refuses folders of another account${notRoot ? " (skipped: only root can make one)" : ""}`, {
    skip: notRoot,
  }, async () => {
    mkdirSync(join(root, user));
    chownSync(join(root, user), 65_534, 65_534);
    await assert.rejects(driver.list(`${user}.`), /belongs to another account/);
    await assert.rejects(driver.put(`${user}.b`, body), /belongs to another account/);
    chownSync(join(root, ".tmp"), 65_534, 65_534);
    await assert.rejects(FilesystemDriver.open(root), /\.tmp belongs to another account/);
    // Its owner may do everything in the storage folder, and the folders in it are as good.
    chownSync(root, 65_534, 65_534);
    const warnings: string[] = [];
    const { list } = await FilesystemDriver.open(root, (message) => warnings.push(message));
    assert.ok(list);
    assert.match(warnings.join("\n"), /^the storage folder .* belongs to another account/);
  });

  it("T-28 warns of a folder that others may write to, and of no other", async () => {
    const warnings: string[] = [];
    const open = () => FilesystemDriver.open(root, (message) => warnings.push(message));
    await open();
    chmodSync(root, 0o755);
    await open();
    assert.deepEqual(warnings, []);
    for (const path of [root, join(root, ".tmp")]) {
      chmodSync(path, 0o775);
      await open();
      chmodSync(path, 0o700);
    }
    assert.equal(warnings.length, 2);
    for (const warning of warnings) assert.match(warning, /^other accounts may write to .* chmod/);
  });

  it("completes puts while other processes delete temporary files and the folder", async () => {
    const names = Array.from({ length: 100 }, (_, i) => `${user}.${i}`);
    const puts = Promise.all(names.map((name) => driver.put(name, body)));
    // Fewer times than a put has attempts.
    for (let sweep = 0; sweep < 4; sweep++) await FilesystemDriver.open(root);
    await puts;
    assert.equal((await driver.list(user)).length, names.length);

    rmSync(join(root, user), { recursive: true });
    await driver.put(`${user}.again`, body);
    assert.deepEqual(await driver.list(user), [{ name: `${user}.again`, size: 7 }]);
  });

  it("lists an object that replaces another one during the list", async () => {
    // At every moment there is at least one object; each round replaces it at another moment.
    let name = `${user}.0`;
    await driver.put(name, body);
    for (let round = 1; round <= 400; round++) {
      const list = driver.list(`${user}.`);
      for (let turn = 0; turn < round % 100; turn++) await setImmediate();
      const next = `${user}.${round}`;
      writeFileSync(join(root, user, next), body);
      rmSync(join(root, user, name));
      name = next;
      assert.ok((await list).length > 0, `round ${round}`);
    }
  });

  it("lists all or nothing of a folder that is removed during the list", async () => {
    const names = [1, 2, 3].map((i) => `${user}.${i}`);
    for (let round = 1; round <= 400; round++) {
      mkdirSync(join(root, user));
      for (const name of names) writeFileSync(join(root, user, name), body);
      const list = driver.list(`${user}.`);
      for (let turn = 0; turn < round % 100; turn++) await setImmediate();
      rmSync(join(root, user), { recursive: true });
      const { length } = await list;
      assert.ok(length === 0 || length === names.length, `round ${round}: ${length}`);
    }
  });

  it("ignores files that are no objects", async () => {
    await driver.put(`${user}.a`, body);
    writeFileSync(join(root, user, ".DS_Store"), "x");
    writeFileSync(join(root, user, "notes.txt"), "x");
    mkdirSync(join(root, user, `${user}.folder`));
    symlinkSync("nowhere", join(root, user, `${user}.link`));
    mkdirSync(join(root, "lost+found"));
    assert.deepEqual(await driver.list(""), [{ name: `${user}.a`, size: 7 }]);
  });

  it("does not open a copy of a bucket, and opens it once its objects are where the error says", async () => {
    const operation = `-${user.slice(1)}.${randomUUID()}.${"0".repeat(16)}.${"a".repeat(32)}`;
    const marker = `${user}.signed`;
    for (const name of [operation, marker]) writeFileSync(join(root, name), "p");
    writeFileSync(join(root, "notes.txt"), "about this folder");
    const error = await FilesystemDriver.open(root).then(
      () => undefined,
      (error: unknown) => error,
    );
    assert.ok(error instanceof StorageUnavailable);
    const [, command = ""] =
      /objects lie beside its folders, .*: (for f .* done)$/.exec(error.message) ?? [];
    execFileSync("sh", ["-c", command], { cwd: root });
    const again = await FilesystemDriver.open(root);
    assert.deepEqual(
      (await again.list("")).map(({ name }) => name).filter((name) => name !== "notes.txt"),
      [operation, marker].toSorted(),
    );
  });

  it("throws, and lists nothing, when the storage itself is gone", async () => {
    await driver.put(`${user}.a`, body);
    renameSync(root, `${root}-unmounted`);
    await assert.rejects(driver.list(`${user}.`), StorageUnavailable);
    await assert.rejects(driver.list(""), StorageUnavailable);
    await assert.rejects(driver.put(`${user}.b`, body), StorageUnavailable);
    mkdirSync(root);
    await assert.rejects(driver.list(`${user}.`), StorageUnavailable);
    await assert.rejects(driver.put(`${user}.b`, body), StorageUnavailable);
  });

  it("says what failed, and why", async () => {
    writeFileSync(join(folder.path, "file"), "x");
    await assert.rejects(FilesystemDriver.open(join(folder.path, "file")), {
      name: "StorageUnavailable",
      message: /^could not open the storage folder .*file: .*(ENOTDIR|EEXIST)/,
    });
  });
});
