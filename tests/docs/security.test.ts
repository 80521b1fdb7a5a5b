/** Every threat in SECURITY.md has an id, and the titles of its tests carry that id. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { read } from "../support/documents.ts";
import { projectFolder } from "../support/process.ts";

const [threats = "", table = ""] = read("SECURITY.md").split("\n## Tests\n");

/** The text of each threat, by id. */
const texts = new Map(
  [...threats.matchAll(/^\| (T-\d+) \| (.*) \|$/gm)].map(([, id, text]) => [id, text]),
);

/** The files that the table names for each id. */
const listed = [...table.matchAll(/^\| (T-\d+) \| (.*) \|$/gm)].map(([, id, text = ""]) => ({
  id,
  files: [...text.matchAll(/`([^`]+)`/g)].map(([, path]) => path),
}));

const sources = readdirSync(`${projectFolder}/tests`, { recursive: true, encoding: "utf8" })
  .map((path) => `tests/${path.replaceAll("\\", "/")}`)
  .filter((path) => path.endsWith(".ts") && path !== "tests/docs/security.test.ts")
  .sort()
  .map((path) => ({ path, ids: new Set(read(path).match(/\bT-\d+\b/g)) }));

describe("SECURITY.md", () => {
  it("numbers its threats from 1 on", () => {
    const numbers = [...texts.keys()].map((_, i) => `T-${String(i + 1).padStart(2, "0")}`);
    assert.ok(numbers.length > 40);
    assert.deepEqual([...texts.keys()], numbers);
  });

  it("has a test for every threat that leaves no risk", () => {
    const tested = new Set(listed.map(({ id }) => id));
    for (const [id, text] of texts) assert.ok(text?.includes("**") || tested.has(id), id);
  });

  it("lists for each id the files in which tests carry it", () => {
    const ids = [...new Set(sources.flatMap(({ ids }) => [...ids]))].sort();
    const carried = ids.map((id) => ({
      id,
      files: sources.filter((source) => source.ids.has(id)).map(({ path }) => path),
    }));
    assert.deepEqual(listed, carried);
    for (const id of ids) assert.ok(texts.has(id), id);
  });
});
