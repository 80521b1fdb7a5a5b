import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import {
  FolderSyncs,
  readLarge,
  readWhole,
  remove,
  sizeOf,
  writeNew,
} from "../../storage/durable-files.ts";
import { temporaryFolder } from "../support/folder.ts";

const folder = temporaryFolder();
after(() => folder.remove());
let path: string;
let number = 0;
beforeEach(() => {
  path = join(folder.path, String(number++));
});

describe("a whole file", () => {
  const KIB = 1024;
  // On both sides of the limit for synchronous writes, and far above it.
  for (const length of [0, 1, 64 * KIB - 1, 64 * KIB, 9000 * KIB + 7]) {
    it(`of ${length} bytes is read as it was written`, async () => {
      const bytes = randomBytes(length);
      await writeNew(path, bytes);
      assert.ok(bytes.equals(await readWhole(path)));
      assert.ok(bytes.equals(await readLarge(path)));
      assert.equal(sizeOf(path), length);
    });
  }

  it("is written from a part of a buffer, without the rest of that buffer", async () => {
    const all = randomBytes(200 * KIB);
    const part = all.subarray(10, 100 * KIB);
    await writeNew(path, part);
    assert.ok(part.equals(await readWhole(path)));
  });

  it("is never overwritten", async () => {
    writeFileSync(path, "the first");
    await assert.rejects(writeNew(path, randomBytes(3)), { code: "EEXIST" });
    assert.equal(Buffer.from(await readWhole(path)).toString(), "the first");
  });

  it("is deleted, without an error when it is missing; a folder is not", async () => {
    writeFileSync(path, "some");
    await remove(path);
    assert.equal(sizeOf(path), undefined);
    await remove(path);
    mkdirSync(path);
    writeFileSync(join(path, "in a folder"), "some");
    await assert.rejects(remove(path));
    assert.equal(sizeOf(path), null);
  });

  it("that is missing throws when it is read, and has no size", async () => {
    await assert.rejects(readWhole(path), { code: "ENOENT" });
    await assert.rejects(readLarge(path), { code: "ENOENT" });
    assert.equal(sizeOf(path), undefined);
  });
});

describe("syncs of a folder", () => {
  // Removing the folder shows when a sync begins: a sync that has begun is not disturbed.
  let syncs: FolderSyncs;
  beforeEach(() => {
    syncs = new FolderSyncs();
    mkdirSync(path);
  });
  const gone = { code: "ENOENT" };

  it("begin after the call, also while another is running that may have begun too early", async () => {
    const running = syncs.sync(path);
    rmdirSync(path);
    const later = assert.rejects(syncs.sync(path), gone);
    await running;
    await later;
  });

  it("are shared by all callers while one is running", async () => {
    const running = syncs.sync(path);
    const [one, other] = [syncs.sync(path), syncs.sync(path)];
    assert.notEqual(one, running);
    assert.equal(other, one);
    const elsewhere = join(folder.path, "elsewhere");
    await assert.rejects(syncs.sync(elsewhere), gone, "another folder has its own");
    await Promise.all([running, one]);
  });

  it("begin again when the last has ended", async () => {
    for (let i = 0; i < 3; i++) await syncs.sync(path);
    await Promise.all([syncs.sync(path), syncs.sync(path)]);
    rmdirSync(path);
    await assert.rejects(syncs.sync(path), gone);
  });

  it("fail also the callers that wait for the next one, and no later ones", async () => {
    rmdirSync(path);
    const failing = assert.rejects(syncs.sync(path), gone);
    const waiting = assert.rejects(syncs.sync(path), gone);
    // The next sync would succeed by now.
    mkdirSync(path);
    await failing;
    await waiting;
    await syncs.sync(path);
  });
});
