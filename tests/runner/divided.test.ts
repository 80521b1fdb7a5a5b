import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { projectFolder } from "../support/process.ts";
import { dividedFiles, filesOf, filesOfNode } from "./divided.ts";

describe("the files that one of the runtimes runs", () => {
  it("run on the first one or on Node, and all other files on each", () => {
    const [divided = "", ofNode = ""] = [dividedFiles[0], filesOfNode[0]];
    const files = [divided, ofNode, "another.test.ts"];
    const all = ["bun", "deno", "node"];
    assert.deepEqual(filesOf(files, "bun", all), [divided, "another.test.ts"]);
    assert.deepEqual(filesOf(files, "deno", all), ["another.test.ts"]);
    assert.deepEqual(filesOf(files, "node", all), [ofNode, "another.test.ts"]);
    for (const runtime of all) assert.deepEqual(filesOf(files, runtime, [runtime]), files);
    assert.deepEqual(filesOf(files, "bun", ["bun", "deno"]), files);
  });

  it("are there, each once", () => {
    const files = [...dividedFiles, ...filesOfNode];
    assert.equal(new Set(files).size, files.length);
    for (const file of files) assert.ok(existsSync(join(projectFolder, "tests", file)), file);
  });

  it("have no test that is left to another runtime", () => {
    for (const file of dividedFiles) {
      const text = readFileSync(join(projectFolder, "tests", file), "utf8");
      assert.doesNotMatch(text, /support\/(?:one-runtime|share)\.ts"/, file);
    }
  });
});
