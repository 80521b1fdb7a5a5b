/** A storage that is opened to look at it is not changed. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { ObjectMissing, StorageUnavailable } from "../../storage/driver.ts";
import { openStorage, openToRead } from "../../storage/open.ts";
import { temporaryFolder } from "../support/folder.ts";
import { someFingerprint } from "../support/users.ts";

const nothing = () => undefined;
const body = new TextEncoder().encode("a body");

/** All that lies in a folder, and when each was last changed. */
function stateOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true })
    .map((name) => {
      const { mode, mtimeMs, size } = statSync(join(folder, `${name}`));
      return `${name} ${mode} ${mtimeMs} ${size}`;
    })
    .sort();
}

describe("openToRead", () => {
  const root = temporaryFolder();
  after(() => root.remove());
  const newFolder = () => mkdtempSync(join(root.path, "data-"));

  it("lists and reads what is in journals and files, as it is stored", async () => {
    const place = newFolder();
    const storage = await openStorage(place);
    const user = someFingerprint();
    const large = new Uint8Array(100_000).fill(7);
    await storage.put(`${user}.file`, large);
    const reader = await openToRead(place, nothing);
    await storage.put(`${user}.journal`, body);
    const listed = [
      { name: `${user}.file`, size: 100_000 },
      { name: `${user}.journal`, size: 6 },
    ];
    assert.deepEqual(await reader.list(user), listed);
    assert.deepEqual(await reader.list(""), listed);
    assert.deepEqual(Buffer.from(await reader.get(`${user}.file`, 100_000)), Buffer.from(large));
    assert.deepEqual(Buffer.from(await reader.get(`${user}.journal`)), Buffer.from(body));
    await storage.delete(`${user}.journal`);
    await assert.rejects(reader.get(`${user}.journal`), ObjectMissing);
    await reader.close();
    await storage.close();
  });

  it("changes nothing: no file, no time, and not what a server has left behind", async () => {
    const place = newFolder();
    const storage = await openStorage(place);
    const user = someFingerprint();
    await storage.put(`${user}.journal`, body);
    await storage.put(`${user}.file`, new Uint8Array(100_000));
    await storage.close();
    writeFileSync(join(place, ".tmp", "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11"), "left by a crash");
    // Not committed: a server stores it anew.
    chmodSync(join(place, user, `${user}.file`), 0o400);
    const before = stateOf(place);
    const reader = await openToRead(place, nothing);
    assert.equal((await reader.list("")).length, 2);
    await reader.get(`${user}.file`);
    await reader.get(`${user}.journal`);
    await assert.rejects(reader.get(`${user}.other`), ObjectMissing);
    await reader.close();
    assert.deepEqual(stateOf(place), before);
  });

  it("opens a copy of a folder without its temporary files", async () => {
    const place = newFolder();
    const user = someFingerprint();
    mkdirSync(join(place, user));
    writeFileSync(join(place, user, `${user}.file`), body);
    const reader = await openToRead(place, nothing);
    assert.deepEqual(await reader.list(""), [{ name: `${user}.file`, size: 6 }]);
    await assert.rejects(reader.get(`${user}.other`), ObjectMissing);
    await reader.close();
  });

  it("takes what is no storage folder for none", async () => {
    const place = newFolder();
    const file = join(place, "file");
    writeFileSync(file, "");
    await assert.rejects(openToRead(file, nothing), /is not a folder/);
    await assert.rejects(openToRead(join(place, "missing"), nothing), StorageUnavailable);
    assert.deepEqual(readdirSync(place), ["file"]);
    const user = someFingerprint();
    writeFileSync(join(place, `${user}.${"x".repeat(80)}`), "");
    await assert.rejects(openToRead(place, nothing), /objects lie beside its folders/);
    await assert.rejects(openToRead("memory:", nothing), StorageUnavailable);
    await assert.rejects(openToRead("ftp://host", nothing), TypeError);
  });
});
