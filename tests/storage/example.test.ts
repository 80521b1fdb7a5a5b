/** The driver that storage/README.md shows, and its test, as they stand there. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, it } from "node:test";
import { pathToFileURL } from "node:url";
import { temporaryFolder } from "../support/folder.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { projectFolder } from "../support/process.ts";

const readme = readFileSync(join(projectFolder, "storage", "README.md"), "utf8");
const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = ""]) => code);
const temporary = temporaryFolder();
after(() => temporary.remove());

/** Writes the code block with a text in it to a file; returns the URL of the file. */
function write(file: string, part: string, imports: Readonly<Record<string, string>>): string {
  const block = blocks.find((code) => code.includes(part));
  assert.ok(block !== undefined, `storage/README.md has no block with ${part}`);
  const code = Object.entries(imports).reduce(
    (text, [from, to]) => text.replaceAll(`"${from}`, `"${to}`),
    block,
  );
  const path = join(temporary.path, file);
  writeFileSync(path, code);
  return pathToFileURL(path).href;
}

const folder = (...parts: string[]) => `${pathToFileURL(join(projectFolder, ...parts)).href}/`;
const driver = write("flat.mts", "class FlatDriver", { "./": folder("storage") });
const test = write("flat.test.mts", 'driverContract("a flat folder"', {
  "../../storage/flat.ts": driver,
  "../support/": folder("tests", "support"),
  "./": folder("tests", "storage"),
});
const { skip, note } = onlyOn("Bun", "it is the same example, whatever runs it");
if (skip) it(`the example${note}`, { skip });
else await import(test);
