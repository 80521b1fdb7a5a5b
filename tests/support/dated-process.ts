/** Run by a test: stores a file that is to have an earlier time. */
import { FilesystemDriver } from "../../storage/filesystem.ts";

const [folder = "", name = "", time = ""] = process.argv.slice(2);
const driver = await FilesystemDriver.open(folder);
await driver.put(name, new TextEncoder().encode("dated"), { storedAt: Number(time) });
await driver.close();
