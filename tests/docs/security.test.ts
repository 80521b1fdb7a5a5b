/** SECURITY.md names tests for every threat that something stops. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { read } from "../support/documents.ts";

const rows = [...read("SECURITY.md").matchAll(/^\| (T-\d+) \| (.*) \|$/gm)];
const threats = new Map<string, string>();
const tests = new Map<string, string[]>();
for (const [, id = "", text = ""] of rows) {
  if (threats.has(id))
    tests.set(
      id,
      [...text.matchAll(/`([^`]+)`/g)].map(([, path = ""]) => path),
    );
  else threats.set(id, text);
}

describe("SECURITY.md", () => {
  it("numbers its threats from 1 on", () => {
    const ids = [...threats.keys()];
    assert.ok(ids.length > 40);
    assert.deepEqual(
      ids,
      ids.map((_, i) => `T-${String(i + 1).padStart(2, "0")}`),
    );
  });

  it("has tests for every threat that leaves no risk", () => {
    for (const [id, text] of threats) {
      assert.ok(text.includes("**") || (tests.get(id)?.length ?? 0) > 0, `${id} has no tests`);
    }
  });
});
