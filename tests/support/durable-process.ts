/** Run by a test, which watches its calls of the system: opens a folder, stores, lists. */
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { partitionOf } from "../../storage/driver.ts";
import { FilesystemDriver } from "../../storage/filesystem.ts";

const [folder = "", name = ""] = process.argv.slice(2);
const driver = await FilesystemDriver.open(folder);
console.log("opened");
/** Leaves the object as a process does that dies before it has synced the folder. */
const undoCommit = () => chmodSync(join(folder, partitionOf(name), name), 0o400);
await driver.put(name, new Uint8Array(10));
console.log("stored");
undoCommit();
await driver.put(name, new Uint8Array(10));
console.log("stored again");
undoCommit();
await driver.list(name);
console.log("listed");
