/** The room that a data folder keeps for when its disk is full. */
import assert from "node:assert/strict";
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { md5Of, StorageFull } from "../../storage/driver.ts";
import { FilesystemDriver } from "../../storage/filesystem.ts";
import { temporaryFolder } from "../support/folder.ts";
import { processOn } from "../support/logs.ts";
import {
  cannotMount,
  fill,
  type Mounted,
  mountExt4,
  mountMemory,
  onMounted,
} from "../support/mounts.ts";
import { operationsOf } from "../support/operations.ts";
import { newClient, someFingerprint } from "../support/users.ts";

interface Disk {
  readonly disk: string;
  readonly mount: () => Mounted;
  /** Takes what is left. */
  readonly begin: (path: string) => void;
}

const takeBlocks = (path: string) => {
  fill(path, 4096);
  fill(path, 1);
};
const disks: readonly Disk[] = [
  { disk: "a full ext4", mount: () => mountExt4("4M"), begin: takeBlocks },
  {
    disk: "a full file system in memory",
    mount: () => mountMemory("size=1m"),
    begin: takeBlocks,
  },
  {
    disk: "a file system that has no inodes left",
    mount: () => mountMemory("size=1m,nr_inodes=128"),
    begin: (path) => fill(path, 0),
  },
];

/** As in a server, superseded objects stay for a quarter of an hour. */
const timing = { debounce: 0, maxDelay: 0, deleteDelay: 900_000, backoff: 0 };

for (const { disk, mount, begin } of disks) {
  const skip = cannotMount(mount);
  describe(`packing on ${disk}${skip === false ? "" : ` (skipped: ${skip})`}`, { skip }, () => {
    it("makes room, again and again, in what no append takes", () =>
      onMounted(mount, async ({ path }) => {
        const root = join(path, "data");
        const driver = await FilesystemDriver.open(root);
        const reserve = () => statSync(join(root, ".tmp", "reserve")).size;
        const whole = reserve();
        const [user, client] = [someFingerprint(), newClient()];
        const { compactor, log } = processOn(driver, 0, { timing });
        const payloads: string[] = [];
        const append = async () => {
          const payload = `${payloads.length}`.padEnd(300, "p");
          await log.append(user, client, payloads.length, [payload]);
          payloads.push(payload);
        };
        for (let i = 0; i < 40; i++) await append();
        begin(path);
        for (const _ of ["once", "again"]) {
          await assert.rejects(async () => {
            for (;;) await append();
          }, StorageFull);
          assert.equal(reserve(), whole);
          assert.equal(await compactor.compact(user), true);
          assert.ok((await driver.list(`${user}.`)).length < 5);
          assert.equal(reserve(), whole);
          assert.deepEqual(readdirSync(join(root, ".tmp")), ["reserve"]);
          await append();
        }
        const operations = await operationsOf(await log.read(user, new Map()));
        assert.deepEqual(
          operations.map(({ payload }) => payload),
          payloads,
        );
        await compactor.stop();
      }));

    it("takes the room in one of two processes, and keeps it where a segment is too large", () =>
      onMounted(mount, async ({ path }) => {
        const root = join(path, "data");
        const drivers = [await FilesystemDriver.open(root), await FilesystemDriver.open(root)];
        const user = someFingerprint();
        for (const name of ["a", "b", "c"])
          await drivers[0]?.put(`${user}.${name}`, new Uint8Array());
        const { size } = statSync(join(root, ".tmp", "reserve"));
        begin(path);
        const tooLarge = new Uint8Array(size + 2 ** 20);
        const put = (driver: FilesystemDriver | undefined, name: string, body: Uint8Array) =>
          driver?.put(`${user}.${name}`, body, { md5: md5Of(body), fromReserve: true });
        await assert.rejects(async () => put(drivers[0], "large", tooLarge), StorageFull);
        const body = new Uint8Array(size).fill(1);
        const results = await Promise.allSettled(drivers.map((one, i) => put(one, `${i}`, body)));
        const failed = results.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
        assert.equal(failed.length, 1);
        assert.ok(failed[0] instanceof StorageFull);
        const [stored, ...rest] =
          (await drivers[1]?.list(`${user}.`))?.filter(({ size }) => size > 0) ?? [];
        assert.deepEqual(rest, []);
        assert.deepEqual(await drivers[1]?.get(stored?.name ?? ""), Buffer.from(body));
      }));
  });
}

describe("the reserve of a data folder", () => {
  it("is there from the start on, and is made again where a crash took or cut it", () =>
    inFolder(async (root) => {
      await FilesystemDriver.open(root);
      const path = join(root, ".tmp", "reserve");
      const { size, mode } = statSync(path);
      assert.ok(size > 0);
      assert.equal(mode & 0o777, 0o600);
      for (const damage of [() => rmSync(path), () => truncateSync(path, 100)]) {
        damage();
        await FilesystemDriver.open(root);
        assert.equal(statSync(path).size, size);
      }
      assert.deepEqual(readdirSync(join(root, ".tmp")), ["reserve"]);
    }));

  it("does not open where a folder is in its place, says what to do, and leaves nothing", () =>
    inFolder(async (root) => {
      mkdirSync(join(root, ".tmp", "reserve"), { recursive: true });
      await assert.rejects(FilesystemDriver.open(root), /reserve is a folder.*: remove it/);
      assert.deepEqual(readdirSync(join(root, ".tmp")), ["reserve"]);
    }));

  it("fails no delete where it cannot be made again, and is reported by a check", () =>
    inFolder(async (root) => {
      const driver = await FilesystemDriver.open(root);
      const name = `${someFingerprint()}.deleted`;
      const path = join(root, ".tmp", "reserve");
      await driver.put(name, new Uint8Array(), { fromReserve: true });
      mkdirSync(path);
      await driver.delete(name);
      assert.deepEqual(await driver.list(""), []);
      await assert.rejects(async () => driver.check(), /reserve is a folder.*: remove it/);
      rmdirSync(path);
      await driver.check();
      assert.ok(statSync(path).size > 0);
    }));

  it("T-28 is no link, through which an object would be written to something else", () =>
    inFolder(async (root) => {
      const driver = await FilesystemDriver.open(root);
      const path = join(root, ".tmp", "reserve");
      const precious = join(root, "precious");
      const user = someFingerprint();
      writeFileSync(precious, "kept");
      mkdirSync(join(root, user));
      for (const link of [linkSync, symlinkSync]) {
        rmSync(path);
        link(precious, path);
        await driver.put(`${user}.${link.name}`, new Uint8Array(3), { fromReserve: true });
        await FilesystemDriver.open(root);
        assert.equal(readFileSync(precious, "utf8"), "kept");
        assert.equal(statSync(join(root, user, `${user}.${link.name}`)).size, 3);
      }
    }));
});

async function inFolder(work: (root: string) => Promise<void>): Promise<void> {
  const folder = temporaryFolder();
  try {
    await work(join(folder.path, "data"));
  } finally {
    folder.remove();
  }
}
