import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { projectFolder } from "../support/process.ts";

const notNode = process.versions.bun ?? process.versions.deno;

const FILES = {
  "good.test.ts": `
    import assert from "node:assert/strict";
    import { dirname } from "node:path";
    import { describe, it } from "node:test";
    import { fileURLToPath } from "node:url";
    describe("suite", () => {
      it("passes", () => {
        assert.equal(import.meta.filename, fileURLToPath(import.meta.url));
        assert.equal(import.meta.dirname, dirname(import.meta.filename));
      });
      it("is skipped", { skip: "a reason" }, () => {});
    });`,
  "failing.test.ts": `
    import { it } from "node:test";
    it("fails", () => { throw new Error("a known failure"); });`,
  "unloadable.test.ts": `
    import { it } from "node:test";
    throw new Error("cannot load");
    it("is never reached", () => {});`,
  "ending.test.ts": `
    import { describe, it } from "node:test";
    describe("a suite", () => {
      it("passes", () => {});
      it("ends the process", () => new Promise(() => setTimeout(() => process.exit(3), 500)));
      it("is never reached", () => {});
    });`,
  "leaving.test.ts": `
    import { it } from "node:test";
    it("ends the process as if all were well", () => process.exit(0));`,
  "stray.test.ts": `
    import { describe, it } from "node:test";
    describe("a suite", () => {
      it("ends before an error", () => { setTimeout(() => { throw new Error("a timer's"); }, 50); });
      it("waits", () => new Promise((resolve) => setTimeout(resolve, 500)));
      it("leaves a promise", () => { void Promise.reject(new Error("a promise's")); });
    });`,
  "hooks.test.ts": `
    import assert from "node:assert/strict";
    import { beforeEach, describe, it } from "node:test";
    let count = 0;
    describe("a suite with a hook", () => {
      beforeEach(async () => { await null; count++; });
      it("has it called", () => assert.equal(count, 1));
      describe("a suite in it", () => {
        it("has it called as well", () => assert.equal(count, 2));
      });
    });
    describe("another suite", () => {
      it("has not", () => assert.equal(count, 2));
    });`,
  "empty.test.ts": "export {};",
  "package.json": `{ "type": "module" }`,
};

describe("tests/run.ts", () => {
  if (notNode !== undefined) {
    it("is tested on Node alone: it runs on Node", { skip: true });
    return;
  }
  const folder = temporaryFolder();
  after(() => folder.remove());
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder.path, name), text);

  it("counts the tests of each runtime", async () => {
    const { code, stdout } = await run("good.test.ts");
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^Node \S+ +1 +0 +1 +\d+$/m);
    assert.match(stdout, /^Bun \S+ +1 +0 +1 +\d+$/m);
    assert.match(stdout, /^Deno \S+ +1 +0 +1 +\d+$/m);
    assert.match(stdout, /^skipped on Bun \S+, Deno \S+, Node \S+: a reason$/m);
    assert.match(stdout, /^3 passed, 0 failed, 3 skipped$/m);
  });

  it("fails when a test fails or a file does not load, and shows both in full", async () => {
    const { code, stdout, stderr } = await run(
      "good.test.ts",
      "failing.test.ts",
      "unloadable.test.ts",
    );
    assert.equal(code, 1, stdout);
    const output = stdout + stderr;
    assert.equal(output.match(/error: (?:Error: )?a known failure/gi)?.length, 3, output);
    assert.equal(output.match(/error: (?:.*Error: )?cannot load/gi)?.length, 3, output);
    assert.match(stdout, /^3 passed, 6 failed, 3 skipped$/m);
    for (const runtime of ["Node", "Bun", "Deno"]) {
      assert.match(stdout, new RegExp(`^failed on ${runtime} \\S+: .*\\bfails$`, "m"));
      assert.match(
        stdout,
        new RegExp(`^failed on ${runtime} \\S+: \\S+unloadable\\.test\\.ts$`, "m"),
      );
    }
    for (const [name, place] of [
      ["failing", "3:31"],
      ["unloadable", "3:11"],
    ]) {
      const path = join(folder.path, `${name}.test.ts:${place}`);
      assert.ok(stdout.split("node, ")[1]?.includes(path), `${path}\n${stdout}`);
    }
  });

  it("says in which test a file ended on Node", async () => {
    const { code, stdout } = await run("node", "ending.test.ts");
    assert.equal(code, 1, stdout);
    assert.match(stdout, /^failed on Node \S+: \S+ending\.test\.ts > a suite > ends the process$/m);
  });

  it("names the files where a test ends the process of Bun or Deno, even with the code 0", async () => {
    const { code, stdout } = await run("bun", "deno", "good.test.ts", "leaving.test.ts");
    assert.equal(code, 1, stdout);
    assert.match(stdout, /^failed on Bun \S+: \S+good\.test\.ts, \S+leaving\.test\.ts$/m);
    assert.match(stdout, /^failed on Deno \S+: /m);
  });

  it("fails on Node, and says why, where an error is left that no test handles", async () => {
    const { code, stdout } = await run("node", "stray.test.ts");
    assert.equal(code, 1, stdout);
    assert.match(stdout, /^3 passed, 1 failed, 0 skipped$/m);
    assert.match(stdout, /a timer's/);
    assert.match(stdout, /a promise's/);
  });

  it("calls the hooks of a suite for its tests alone", async () => {
    const { code, stdout } = await run("node", "hooks.test.ts");
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^3 passed, 0 failed, 0 skipped$/m);
  });

  it("fails when no test runs", async () => {
    const { code, stdout } = await run("empty.test.ts");
    assert.equal(code, 1, stdout);
    assert.match(stdout, /^0 passed, [1-9]\d* failed, 0 skipped$/m);
  });

  function run(...args: string[]) {
    // Within a test, Node's runner would report to the runner around it.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const places = args.map((arg) => (arg in FILES ? join(folder.path, arg) : arg));
    return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      const child = execFile(
        process.execPath,
        ["--import", "tsx", join("tests", "run.ts"), ...places],
        { cwd: projectFolder, env, timeout: 300_000 },
        (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
      );
    });
  }
});
