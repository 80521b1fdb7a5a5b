import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { projectFolder } from "../support/process.ts";
import { dividedFiles, filesOf } from "./divided.ts";

describe("the files that the runtimes divide among them", () => {
  it("each run on one of them, and all other files on each", () => {
    const files = [...dividedFiles, "another.test.ts"];
    const all = [0, 1, 2].map((runtime) => filesOf(files, runtime, 3));
    for (const some of all) assert.ok(some.includes("another.test.ts"));
    assert.deepEqual(
      all.flat().toSorted(),
      [...files, "another.test.ts", "another.test.ts"].toSorted(),
    );
  });

  it("all run on a runtime that is alone", () => {
    assert.deepEqual(filesOf(dividedFiles, 0, 1), dividedFiles);
  });

  it("have no test that is left to another runtime", () => {
    for (const file of dividedFiles) {
      const text = readFileSync(join(projectFolder, "tests", file), "utf8");
      assert.doesNotMatch(text, /support\/(?:one-runtime|share)\.ts"/, file);
    }
  });
});
