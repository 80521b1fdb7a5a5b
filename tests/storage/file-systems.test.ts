/** File systems that are full, read-only, or cannot do what a disk of this machine can. */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { parseMarker } from "../../oplog/names.ts";
import { StorageUnavailable } from "../../storage/driver.ts";
import { FilesystemDriver } from "../../storage/filesystem.ts";
import { HookedDriver } from "../support/drivers.ts";
import { temporaryFolder } from "../support/folder.ts";
import { sync, withServer } from "../support/http.ts";
import {
  cannotMount,
  fill,
  type Mounted,
  mountExt4,
  mountMemory,
  onMounted,
} from "../support/mounts.ts";
import { commandFor, projectFolder } from "../support/process.ts";
import { inProcessServer, twoSigningUsers } from "../support/signing.ts";
import { newClient, newUser, someFingerprint } from "../support/users.ts";

const fewInodes = () => mountMemory("size=1m,nr_inodes=32");
const noMount = cannotMount(fewInodes);

describe(`a user on a file system without room for one more file${noMount === false ? "" : ` (skipped: ${noMount})`}`, {
  skip: noMount,
}, () => {
  for (const { reserve, lost } of [
    {
      reserve: "where the folder has a reserve, with no operation lost before the tombstone",
      lost: 0,
    },
    { reserve: "where it has none, with one operation lost before the tombstone", lost: 1 },
  ]) {
    it(`T-31 can leave, which makes room for others, ${reserve}`, () =>
      onMounted(fewInodes, async (mounted) => {
        const folder = join(mounted.path, "data");
        const [user, other] = await twoSigningUsers();
        const start = async () => {
          const driver = new HookedDriver(await FilesystemDriver.open(folder));
          return { driver, ...inProcessServer({ COMPACTION: "off" }, driver, { time: Date.now }) };
        };
        const before = await start();
        const client = newClient();
        for (let index = 0; index < 5; index++) {
          const append = { client_id: client, operation_index: index, payload: "sealed" };
          assert.equal((await before.signed(user, append)).status, 200);
        }
        if (lost > 0) rmSync(join(folder, ".tmp", "reserve"));
        fill(mounted.path, 0);
        const { driver, signed, erase } = await start();
        const send = (payload: string) => signed(other, { operation_index: 0, payload });
        assert.equal((await send("no")).status, 503);
        const done: string[] = [];
        driver.after = ({ kind }) => {
          if (kind !== "list") done.push(kind);
        };
        assert.equal((await erase(user)).status, 204);
        assert.equal(done.indexOf("put"), lost);
        assert.deepEqual(
          (await driver.list(user.fingerprint)).map(({ name }) => parseMarker(name)?.kind),
          ["erased"],
        );
        assert.equal((await send("yes")).status, 200);
      }));
  }
});

interface Trouble {
  readonly disk: string;
  readonly mount: () => Mounted;
  /** Makes the disk take nothing new. */
  readonly begin: (mounted: Mounted) => void;
  readonly reason: string;
}

const troubles: readonly Trouble[] = [
  {
    disk: "a full ext4",
    mount: () => mountExt4("2M"),
    begin: ({ path }) => fill(path, 4096),
    reason: "the disk is full",
  },
  {
    disk: "a full file system in memory",
    mount: () => mountMemory("size=256k"),
    begin: ({ path }) => fill(path, 4096),
    reason: "the disk is full",
  },
  {
    disk: "a file system that has no inodes left",
    mount: () => mountMemory("size=1m,nr_inodes=32"),
    begin: ({ path }) => fill(path, 0),
    reason: "the disk is full",
  },
  {
    disk: "a read-only ext4",
    mount: () => mountExt4("2M"),
    begin: ({ remount }) => remount("ro"),
    reason: "the disk is read-only",
  },
];

for (const { disk, mount, begin, reason } of troubles) {
  const skip = cannotMount(mount);
  describe(`storage on ${disk}${skip === false ? "" : ` (skipped: ${skip})`}`, { skip }, () => {
    it("is not ready, with the reason, and what was stored is still read", () =>
      onMounted(mount, async (mounted) => {
        const root = join(mounted.path, "data");
        const driver = await FilesystemDriver.open(root);
        const user = newUser().base64;
        const stored = { client_id: newClient(), operation_index: 0, payload: "sealed" };
        await withServer(
          { COMPACTION: "off" },
          async ({ url }) => {
            const ready = () => fetch(new URL("/ready", url));
            assert.equal((await ready()).status, 200);
            assert.equal((await sync(url, { user, ...stored })).status, 200);
            begin(mounted);
            await until503(ready, reason);
            const { operations } = await sync(url, { user, client_id: newClient() });
            assert.deepEqual(operations, [stored]);
            const next = { ...stored, operation_index: 1, payload: "p".repeat(8000) };
            const { status, problem } = await sync(url, { user, ...next });
            assert.equal(status, 503);
            assert.equal(problem.type, "urn:sync-server:storage-unavailable");
          },
          driver,
        );
        assert.deepEqual(readdirSync(join(root, ".tmp")), ["reserve"], "a temporary file is left");
      }));

    it("is opened for what it has, and says that it takes nothing new", () =>
      onMounted(mount, async (mounted) => {
        const user = someFingerprint();
        const before = await FilesystemDriver.open(mounted.path, () => undefined);
        await before.put(`${user}.a`, new Uint8Array(3));
        begin(mounted);
        const warnings: string[] = [];
        const driver = await FilesystemDriver.open(mounted.path, (text) => warnings.push(text));
        assert.deepEqual(await driver.list(`${user}.`), [{ name: `${user}.a`, size: 3 }]);
        assert.ok(warnings.some((text) => text.includes(`takes nothing new: ${reason};`)));
        await assert.rejects(driver.check(), (error: unknown) => {
          assert.ok(error instanceof StorageUnavailable);
          assert.equal(error.reason, reason);
          return true;
        });
      }));
  });
}

/** An answer is kept for a second. */
async function until503(ask: () => Promise<Response>, reason: string): Promise<void> {
  for (;;) {
    const response = await ask();
    const { detail }: { detail?: string } = JSON.parse(await response.text());
    if (response.status === 200) {
      await sleep(50);
      continue;
    }
    assert.equal(response.status, 503);
    assert.equal(detail, `Storage is not ready: ${reason}.`);
    return;
  }
}

// strace makes calls of the system fail as they do where this machine cannot go.
const inject = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync"];
const cannotInject =
  spawnSync("strace", [...inject, "-e", "inject=fsync:error=EINVAL", "true"]).status !== 0;
const why = cannotInject ? " (skipped: strace is missing or not allowed)" : "";

describe(`a file system that other machines have${why}`, { skip: cannotInject }, () => {
  /** Runs a program, some of whose calls fail on these paths, or on all. */
  async function run(
    program: readonly string[],
    calls: string,
    code: string,
    paths: readonly string[] = [],
  ) {
    const [file = "", ...args] = program;
    const options = ["-f", "-qq", "-o", "/dev/null", "-e", `trace=${calls}`];
    const only = paths.flatMap((path) => ["-P", path]);
    const command = [...commandFor(join("tests", "support", file)), ...args];
    const all = [...options, "-e", `inject=${calls}:error=${code}`, ...only, ...command];
    const { stdout, stderr } = await promisify(execFile)("strace", all, { cwd: projectFolder });
    return { stdout: stdout.trimEnd().split("\n"), stderr: stderr.trimEnd() };
  }

  for (const code of ["EINVAL", "EOPNOTSUPP"]) {
    it(`that answers the sync of a folder with ${code} keeps what is stored, and is reported once`, async () => {
      const folder = temporaryFolder();
      try {
        const user = someFingerprint();
        const root = join(folder.path, "data");
        const paths = [folder.path, root, join(root, ".tmp"), join(root, user)];
        const program = ["durable-process.ts", root, `${user}.a`];
        const { stdout, stderr } = await run(program, "fsync", code, paths);
        assert.deepEqual(stdout, ["opened", "stored", "stored again", "listed"]);
        assert.equal(stderr.match(/cannot sync folders/g)?.length, 1, stderr);
        assert.deepEqual(readdirSync(join(root, user)), [`${user}.a`]);
      } finally {
        folder.remove();
      }
    });
  }

  it("that cannot sync a file is not used", async () => {
    const folder = temporaryFolder();
    try {
      const program = ["durable-process.ts", join(folder.path, "data"), "user.a"];
      await assert.rejects(run(program, "fsync,fdatasync", "EIO"), /the disk does not work/);
    } finally {
      folder.remove();
    }
  });

  it("that takes no names of 255 characters is not used, and the error says why", async () => {
    const folder = temporaryFolder();
    try {
      const program = ["durable-process.ts", join(folder.path, "data"), "user.a"];
      await assert.rejects(
        run(program, "rename,renameat,renameat2", "ENAMETOOLONG"),
        /the file system takes no names of 255 characters .*; .* set STORAGE to a folder/,
      );
      assert.deepEqual(readdirSync(join(folder.path, "data", ".tmp")), []);
    } finally {
      folder.remove();
    }
  });

  it("that cannot sync folders holds the store of a device, which reports it once", async () => {
    const folder = temporaryFolder();
    try {
      const fingerprint = someFingerprint();
      const client = newClient();
      const place = join(folder.path, fingerprint);
      mkdirSync(place);
      const program = ["store-process.ts", folder.path, fingerprint, client];
      const { stdout, stderr } = await run(program, "fsync", "EINVAL", [place, join(place, "0")]);
      const own = { client, length: 1, acknowledged: 1, highWater: 1 };
      assert.deepEqual(stdout, [JSON.stringify([own])]);
      assert.equal(stderr.match(/cannot sync folders/g)?.length, 1, stderr);
    } finally {
      folder.remove();
    }
  });

  it("that fails now and then to sync a file, and to cut it, leaves nothing in the folder of a device that did not count", async () => {
    const folder = temporaryFolder();
    try {
      const payloads = Array.from({ length: 8 }, (_, i) => `c2VhbGVk${i}`);
      const program = [
        "append-process.ts",
        folder.path,
        someFingerprint(),
        newClient(),
        ...payloads,
      ];
      // Opening is tried again as a whole, and can take seven of these calls: more have to succeed in a row.
      const { stdout } = await run(program, "fdatasync,ftruncate", "EIO:when=1+13");
      const expected = { own: payloads, acknowledged: payloads.length, received: payloads };
      assert.deepEqual(stdout, [JSON.stringify(expected)]);
    } finally {
      folder.remove();
    }
  });
});
