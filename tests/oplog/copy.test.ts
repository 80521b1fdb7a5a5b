/** A copy of the storage, made while a server appends and packs: it loses no acknowledged operation. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, createWriteStream, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import type { Fingerprint } from "../../oplog/names.ts";
import { type Driver, ObjectMissing } from "../../storage/driver.ts";
import { FilesystemDriver } from "../../storage/filesystem.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { openStorage } from "../../storage/open.ts";
import { temporaryFolder } from "../support/folder.ts";
import { processOn } from "../support/logs.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { operationsOf } from "../support/operations.ts";
import { newPlace, s3 } from "../support/s3.ts";
import { newClient, someFingerprint } from "../support/users.ts";

/** How long superseded objects stay, on the clock of the tests. */
const RETENTION = 1_000;

const clients = [newClient(), newClient(), newClient()];
const OPERATIONS = 40;
const payload = (client: string, index: number) => `${client} ${index} `.repeat(30);

/** Copies a storage; ends before the retention has passed. */
type Copy = () => Promise<void>;

/**
 * Stores operations, and copies the storage while more are appended, all are packed, and the server
 * is started anew. Then reads the copy.
 */
async function copyUnderLoad(
  source: Driver,
  copy: Copy,
  openCopy: () => Promise<Driver>,
): Promise<void> {
  const user = someFingerprint();
  let time = 0;
  const start = () =>
    processOn(source, Number.POSITIVE_INFINITY, {
      now: () => time,
      limits: { operations: 4, bytes: 20_000 },
      timing: { debounce: 1e9, maxDelay: 1e9, deleteDelay: RETENTION, backoff: 0 },
    });
  let server = start();
  const append = async (index: number) => {
    for (const client of clients) {
      await server.log.append(user, client, index, [payload(client, index)]);
    }
  };
  for (let index = 0; index < OPERATIONS; index++) {
    await append(index);
    time += 50;
    // What was packed at first may be deleted while the copy is made.
    if (index % 7 === 6) await server.compactor.compact(user);
  }
  const began = time;
  let copied = false;
  const copying = copy().finally(() => {
    copied = true;
  });
  for (let index = OPERATIONS; !copied || index < OPERATIONS + 20; index++) {
    await append(index);
    await server.compactor.compact(user);
    // The copy goes on, also where nothing here waits for a disk.
    await setImmediate();
    time = Math.min(time + 40, began + RETENTION - 1);
    if (index === OPERATIONS + 9) {
      await server.compactor.stop();
      server = start();
    }
  }
  await copying;
  await server.compactor.stop();
  assert.ok(server.telemetry.value("compaction", "stored") > 0, "nothing was packed meanwhile");
  await checkCopy(await openCopy(), user);
}

async function checkCopy(restored: Driver, user: Fingerprint): Promise<void> {
  const { log } = processOn(restored, 0);
  const found = await operationsOf(await log.read(user, new Map()));
  for (const client of clients) {
    const payloads = found
      .filter(({ client_id }) => client_id === client)
      .map(({ payload }) => payload);
    const acknowledged = Array.from({ length: OPERATIONS }, (_, index) => payload(client, index));
    assert.deepEqual(payloads.slice(0, OPERATIONS), acknowledged);
  }
}

/** Lists a storage, then reads one object after the other, as tools for S3 do. */
async function copyObjects(from: Driver, to: Driver): Promise<void> {
  for (const { name } of await from.list("")) {
    await sleep(3);
    try {
      await to.put(name, await from.get(name));
    } catch (error) {
      // Deleted since it was listed.
      if (!(error instanceof ObjectMissing)) throw error;
    }
  }
}

const FOLDERS: Record<string, (path: string) => Promise<Driver>> = {
  "of files": FilesystemDriver.open,
  "of a folder with journals": (path) => openStorage(path),
};

const hasRsync = spawnSync("rsync", ["--version"]).status === 0;

const TOOLS: Record<string, (from: string, to: string) => Promise<void>> = {
  "reads one file after the other": async (from, to) => {
    for (const folder of readdirSync(from).filter((name) => name !== ".tmp")) {
      mkdirSync(join(to, folder));
      for (const name of readdirSync(join(from, folder)).reverse()) {
        await sleep(3);
        try {
          copyFileSync(join(from, folder, name), join(to, folder, name));
        } catch (error) {
          if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
        }
      }
    }
  },
  "is made by tar, whose output is taken slowly": async (from, to) => {
    const file = `${to}.tar`;
    const archive = createWriteStream(file);
    const packing = spawn("tar", ["-c", "-C", from, "--exclude=./.tmp", "."]);
    for await (const chunk of packing.stdout) {
      archive.write(chunk);
      await sleep(10);
    }
    archive.end();
    await once(archive, "close");
    await once(spawn("tar", ["-x", "-C", to, "-f", file]), "close");
  },
  "is made by cp": async (from, to) => {
    await once(spawn("cp", ["-R", `${from}/.`, to]), "close");
  },
  ...(hasRsync && {
    "is made by rsync": async (from: string, to: string) => {
      await once(spawn("rsync", ["-a", "--bwlimit=300", `${from}/`, to]), "close");
    },
  }),
};

const { skip, note } = onlyOn("Bun", "what is copied does not depend on the runtime");

describe(`a copy of the storage, made while a server appends and packs${note}`, { skip }, () => {
  for (const [kind, open] of Object.entries(FOLDERS)) {
    for (const [how, copy] of Object.entries(TOOLS)) {
      it(`has every operation that was acknowledged before, ${kind}, if it ${how}`, async () => {
        const { path, remove } = temporaryFolder();
        const [from, to] = [join(path, "data"), join(path, "copy")];
        mkdirSync(to);
        const source = await open(from);
        try {
          await copyUnderLoad(
            source,
            () => copy(from, to),
            () => open(to),
          );
        } finally {
          await source.close();
          remove();
        }
      });
    }
  }

  it("has every operation that was acknowledged before, if it lists and reads objects", async () => {
    const [source, target] = [new MemoryDriver(), new MemoryDriver()];
    await copyUnderLoad(
      source,
      () => copyObjects(source, target),
      async () => target,
    );
  });

  it("has every operation that was acknowledged before, on S3", {
    skip: s3 === undefined,
  }, async () => {
    const { S3Driver } = await import("../../storage/s3.ts");
    const source = await S3Driver.open(newPlace());
    const target = new MemoryDriver();
    try {
      await copyUnderLoad(
        source,
        () => copyObjects(source, target),
        async () => target,
      );
    } finally {
      await source.close();
    }
  });
});
