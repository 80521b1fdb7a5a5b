/** Run by a test, which watches its calls of the system: opens a folder, stores, lists. */
import { FilesystemDriver } from "../../storage/filesystem.ts";

const [folder = "", name = ""] = process.argv.slice(2);
const driver = await FilesystemDriver.open(folder);
console.log("opened");
await driver.put(name, new Uint8Array(10));
console.log("stored");
await driver.put(name, new Uint8Array(10));
console.log("stored again");
await driver.list(name);
console.log("listed");
