import assert from "node:assert/strict";
import { mkdirSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { listFolder, readNames } from "../../storage/folder-listing.ts";
import { temporaryFolder } from "../support/folder.ts";

describe("the listing of a folder", () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let path: string;
  const write = (name: string) => writeFileSync(join(path, name), name);
  const object = (name: string) => ({ name, size: name.length });
  const isListed = (name: string) => name.startsWith("a");
  const sync = async () => true;

  beforeEach(() => {
    folder = temporaryFolder();
    path = join(folder.path, "a");
    mkdirSync(path);
  });
  afterEach(() => folder.remove());

  it("has the files that are to be listed, in order, with their sizes", async () => {
    for (const name of ["ab", "b", "a", "a.c", "a-d"]) write(name);
    mkdirSync(join(path, "ae"));
    const names = () => readNames(path, 0);
    assert.deepEqual(
      await listFolder({ path, names, isListed, sync }),
      ["a", "a-d", "a.c", "ab"].map(object),
    );
  });

  it("reads again what is gone or comes meanwhile, and leaves out a name without a file", async () => {
    for (const name of ["a1", "a2"]) write(name);
    let reads = 0;
    const names = async () => {
      const read = await readNames(path, 0);
      if (++reads === 1) {
        unlinkSync(join(path, "a1"));
        write("a3");
      }
      return [...read, "a-without"];
    };
    assert.deepEqual(await listFolder({ path, names, isListed, sync }), ["a2", "a3"].map(object));
    assert.equal(reads, 2);
  });

  it("reads again when the folder is gone before it is synced", async () => {
    write("a1");
    let syncs = 0;
    const names = () => (syncs === 0 ? readNames(path, 0) : Promise.resolve([]));
    const gone = async () => {
      syncs++;
      rmSync(path, { recursive: true });
      return false;
    };
    assert.deepEqual(await listFolder({ path, names, isListed, sync: gone }), []);
    assert.equal(syncs, 1);
  });

  it("reads the same names of a small folder and of a large one", async () => {
    const names = Array.from({ length: 100 }, (_, i) => `a${i}`);
    for (const name of names) write(name);
    for (const bytes of [0, 2 ** 20]) {
      assert.deepEqual((await readNames(path, bytes)).toSorted(), names.toSorted());
    }
    const gone = join(path, "gone");
    for (const bytes of [0, 2 ** 20]) {
      await assert.rejects(readNames(gone, bytes), { code: "ENOENT" });
    }
  });
});
