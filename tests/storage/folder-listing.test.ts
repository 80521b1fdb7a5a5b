import assert from "node:assert/strict";
import { mkdirSync, unlinkSync, writeFileSync } from "node:fs";
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
  const renew = () => assert.fail("all files are committed");

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
      await listFolder({ path, names, isListed, renew }),
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
    assert.deepEqual(await listFolder({ path, names, isListed, renew }), ["a2", "a3"].map(object));
    assert.equal(reads, 2);
  });

  it("has all files committed before it shows them, and shows none where that fails", async () => {
    const some = Array.from({ length: 40 }, (_, i) => `a${i + 10}`);
    for (const name of some) writeFileSync(join(path, name), name, { mode: 0o400 });
    write("a99");
    const names = () => readNames(path, 0);
    const renewed: string[] = [];
    const renew = async (name: string) => void renewed.push(name);
    const listed = await listFolder({ path, names, isListed, renew });
    assert.deepEqual(listed, [...some, "a99"].map(object));
    assert.deepEqual(renewed, some);
    const failed = new Error("the disk does not work");
    const fail = () => Promise.reject(failed);
    await assert.rejects(listFolder({ path, names, isListed, renew: fail }), failed);
  });

  it("reads the same names of a small folder and of a large one, and fails alike", async () => {
    const names = Array.from({ length: 100 }, (_, i) => `a${i}`);
    for (const name of names) write(name);
    for (const bytes of [0, 2 ** 20]) {
      assert.deepEqual((await readNames(path, bytes)).toSorted(), names.toSorted());
    }
    for (const bytes of [0, 2 ** 20]) {
      await assert.rejects(readNames(join(path, "gone"), bytes), { code: "ENOENT" });
      await assert.rejects(readNames(join(path, "a0"), bytes), { code: "ENOTDIR" });
    }
  });
});
