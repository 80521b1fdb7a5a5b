import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { projectFolder } from "../support/process.ts";
import { dividedFiles, filesOf } from "./divided.ts";

describe("the files that one of the runtimes runs", () => {
  it("run on the first one, and all other files on each", () => {
    const files = [...dividedFiles, "another.test.ts"];
    assert.deepEqual(filesOf(files, true), files);
    assert.deepEqual(filesOf(files, false), ["another.test.ts"]);
  });

  it("have no test that is left to another runtime", () => {
    for (const file of dividedFiles) {
      const text = readFileSync(join(projectFolder, "tests", file), "utf8");
      assert.doesNotMatch(text, /support\/(?:one-runtime|share)\.ts"/, file);
    }
  });
});
