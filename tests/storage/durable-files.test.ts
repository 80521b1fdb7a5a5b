import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { lookAt, NewFile, readLarge, readWhole, remove } from "../../storage/durable-files.ts";
import { temporaryFolder } from "../support/folder.ts";

const folder = temporaryFolder();
after(() => folder.remove());
let path: string;
let number = 0;
beforeEach(() => {
  path = join(folder.path, String(number++));
});

async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  (await NewFile.create(path, bytes)).close();
}

const sizeOf = (path: string) => {
  const file = lookAt(path);
  return file === null ? null : file?.size;
};

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

  it("is committed when that is said, and not before", async () => {
    for (const make of [NewFile.create, NewFile.over]) {
      const file = await make(path, randomBytes(3));
      assert.equal(lookAt(path)?.isCommitted, false);
      file.commit();
      file.close();
      assert.equal(lookAt(path)?.isCommitted, true);
      assert.equal(statSync(path).mode & 0o777, 0o600);
    }
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
