/** `npm run demo` in a process, on the runtime of the test. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import manifest from "../../package.json" with { type: "json" };
import { temporaryFolder } from "../support/folder.ts";
import { commandFor, projectFolder, runToEnd } from "../support/process.ts";

describe("the demo", () => {
  it("shows each line of README.md beside what the server stores of it, and leaves nothing behind", async () => {
    const file = manifest.scripts.demo.split(" ").at(-1) ?? "";
    assert.ok(existsSync(join(projectFolder, file)));
    const folder = temporaryFolder();
    const program = { command: commandFor(file), folder: projectFolder };
    try {
      const { code, stdout, stderr } = await runToEnd([], { TMPDIR: folder.path }, program);
      assert.equal(code, 0, stderr);
      const rows = [...stdout.matchAll(/^ *(\d+) {2}([\w-]{22,34}…?) *(.*)$/gm)];
      const lines = readFileSync(join(projectFolder, "README.md"), "utf8").split("\n");
      assert.deepEqual(
        rows.map(([, index]) => Number(index)),
        lines.map((_, i) => i),
      );
      const ciphertexts = new Set(rows.map(([, , ciphertext]) => ciphertext));
      assert.equal(ciphertexts.size, lines.length, "equal lines have different ciphertexts");
      for (const [i, [, , , shown = ""]] of rows.entries()) {
        const beginning = shown.replace(/…$/, "").trimStart();
        assert.ok(lines[i]?.trimStart().startsWith(beginning), `line ${i}: ${shown}`);
        assert.equal(beginning === "", lines[i]?.trim() === "");
      }
      assert.match(stdout, /^object [\w-]{8}…\.[0-9a-f-]{36}\.\d{16}/m);
      assert.deepEqual(
        readdirSync(folder.path).filter((name) => name.startsWith("sync-")),
        [],
      );
    } finally {
      folder.remove();
    }
  });
});
