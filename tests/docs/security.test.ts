/** SECURITY.md names a test for everything that it says is stopped. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { projectFolder } from "../support/process.ts";

const document = readFileSync(join(projectFolder, "SECURITY.md"), "utf8");
const [, , ...rows] = (/^\| Who \|.*?(?=\n\n)/ms.exec(document)?.[0] ?? "").split("\n");

const sources = readdirSync(join(projectFolder, "tests"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !file.endsWith("security.test.ts"))
  .map((file) => readFileSync(join(projectFolder, "tests", file), "utf8"));

/** Shorter texts say too little of a test to know it by. */
const MIN_TEXT = 12;

/**
 * The names of all tests, as patterns: some are put together of a text and what stands in a table,
 * and any words may stand there.
 */
const names = sources
  .flatMap((source) => [...source.matchAll(/\bit\(\s*(["`])((?:(?!\1).)+)\1/gs)])
  .map(([, , name = ""]) => name.split(/\$\{[^}]*\}/))
  .filter((parts) => parts.join("").length >= MIN_TEXT)
  .map((parts) => new RegExp(`^${parts.map(literally).join(".+")}$`));

describe("the table in SECURITY.md", () => {
  it("is found by this test, and so are the tests", () => {
    assert.ok(rows.length > 20);
    assert.ok(names.length > 200);
  });

  for (const row of rows) {
    const [who = "", what = "", stopped = "", tests = ""] = row.split(/ \| ?/).map(cell);
    it(`says of ${who}, who could ${what}, what is tested`, () => {
      const named = [...tests.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
      const isStopped = !stopped.startsWith("Nothing") && !/ Nothing else/.test(stopped);
      assert.equal(named.length > 0, isStopped, row);
      for (const name of named) {
        assert.ok(
          names.some((pattern) => pattern.test(name)),
          `there is no test: ${name}`,
        );
      }
    });
  }
});

function cell(text: string): string {
  return text.replace(/^\| /, "").replace(/ \|$/, "").trim();
}

/** What a text is in a regular expression. */
function literally(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
