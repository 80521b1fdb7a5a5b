/** The driver that storage/README.md shows, as it stands there. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Driver } from "../../storage/driver.ts";
import { temporaryFolder } from "../support/folder.ts";
import { projectFolder } from "../support/process.ts";
import { driverContract } from "./driver-contract.ts";

const storage = join(projectFolder, "storage");
const blocks = readFileSync(join(storage, "README.md"), "utf8").matchAll(/^```ts\n(.*?)^```$/gms);
const source = [...blocks].map(([, code = ""]) => code).find((code) => code.includes("implements"));
assert.ok(source !== undefined, "storage/README.md shows no driver");

const temporary = temporaryFolder();
const file = join(temporary.path, "flat.mts");
writeFileSync(file, source.replaceAll('"./', `"${pathToFileURL(storage).href}/`));
const example: { FlatDriver: { open: (folder: string) => Promise<Driver> } } = await import(
  pathToFileURL(file).href
);

const folder = join(temporary.path, "objects");
mkdirSync(folder);
driverContract("the driver of storage/README.md", {
  open: () => example.FlatDriver.open(folder),
  shared: true,
  remove: () => temporary.remove(),
});
