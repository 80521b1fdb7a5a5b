/** A segment that was read, and changes in storage afterwards: the next read notices. */
import assert from "node:assert/strict";
import { readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { OperationGap } from "../../oplog/append-plan.ts";
import { ObjectDamaged } from "../../oplog/object-cache.ts";
import type { Driver } from "../../storage/driver.ts";
import { FilesystemDriver } from "../../storage/filesystem.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { temporaryFolder } from "../support/folder.ts";
import { processOn } from "../support/logs.ts";
import { operationsOf } from "../support/operations.ts";
import { newPlace, s3, skipS3 } from "../support/s3.ts";
import { newClient, someFingerprint } from "../support/users.ts";

interface Storage {
  readonly driver: Driver;
  /** Replaces the bytes of an object behind the back of every process. */
  readonly replace: (name: string, body: Uint8Array) => Promise<void>;
  readonly end?: () => void;
}

/** Puts the bytes where the driver does not look for a change. */
function byDriver(driver: Driver): Storage {
  const replace = async (name: string, body: Uint8Array) => {
    await driver.delete(name);
    await driver.put(name, body);
  };
  return { driver, replace };
}

/** @param restore whether the file keeps the times that it had */
async function inFolder(restore: boolean): Promise<Storage> {
  const { path, remove } = temporaryFolder();
  const driver = await FilesystemDriver.open(path);
  const replace = async (name: string, body: Uint8Array) => {
    const file = join(path, name.slice(0, name.indexOf(".")), name);
    const { ino, size, atime, mtime } = statSync(file);
    writeFileSync(file, body);
    if (restore) utimesSync(file, atime, mtime);
    assert.deepEqual([statSync(file).ino, statSync(file).size], [ino, size]);
    assert.deepEqual(readFileSync(file), Buffer.from(body));
  };
  return { driver, replace, end: remove };
}

const STORAGES: Record<string, () => Storage | Promise<Storage>> = {
  "in memory": () => byDriver(new MemoryDriver()),
  "in a folder": () => inFolder(false),
  "in a folder, where the file keeps its times": () => inFolder(true),
  ...(s3 !== undefined && { "on S3": onS3 }),
};

async function onS3(): Promise<Storage> {
  const { S3Driver } = await import("../../storage/s3.ts");
  return byDriver(await S3Driver.open(newPlace()));
}

describe("a segment that changes after it was read", () => {
  if (s3 === undefined) skipS3();
  for (const [where, open] of Object.entries(STORAGES)) {
    it(`is not delivered, and its owner sends it again: ${where}`, async () => {
      const { driver, replace, end } = await open();
      after(async () => {
        await driver.close();
        end?.();
      });
      const [user, client] = [someFingerprint(), newClient()];
      const { log, telemetry } = processOn(driver, Number.POSITIVE_INFINITY);
      const payloads = Array.from({ length: 3 }, (_, i) => `${i}`.repeat(200_000));
      const read = async () => operationsOf(await log.read(user, new Map()));
      await log.append(user, client, 0, payloads);
      for (let times = 0; times < 2; times++) assert.equal((await read()).length, 3);
      const [name = ""] = (await driver.list(`${user}.`)).map(({ name }) => name);
      const body = Buffer.from(await driver.get(name));
      const at = 300_000;
      body[at] = (body[at] ?? 0) ^ 1;
      await replace(name, body);
      await assert.rejects(read(), ObjectDamaged);
      assert.equal(telemetry.value("object_cache", "damaged"), 1);
      assert.deepEqual(await read(), []);
      await assert.rejects(log.append(user, client, 3, ["3"]), OperationGap);
      await log.append(user, client, 0, payloads);
      assert.deepEqual(
        (await read()).map(({ payload }) => payload),
        payloads,
      );
    });
  }
});
