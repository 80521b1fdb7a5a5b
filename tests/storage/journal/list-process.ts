/** Prints the names of the objects in a folder, the only argument. */
import { openStorage } from "../../../storage/open.ts";

const [folder = ""] = process.argv.slice(2);
const driver = await openStorage(folder);
console.log(JSON.stringify((await driver.list("")).map(({ name }) => name)));
await driver.close();
