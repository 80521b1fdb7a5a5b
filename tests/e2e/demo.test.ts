/** `npm run demo` in a process. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import manifest from "../../package.json" with { type: "json" };
import { temporaryFolder } from "../support/folder.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { commandFor, projectFolder, runToEnd, startServer } from "../support/process.ts";

const { skip, note } = onlyOn("Node", "npm starts it on Node");

describe(`the demo${note}`, { skip }, () => {
  const file = manifest.scripts.demo.split(" ").at(-1) ?? "";
  const program = { command: commandFor(file), folder: projectFolder };

  it("shows each line of README.md beside what the server stores of it, and leaves nothing behind", async () => {
    assert.ok(existsSync(join(projectFolder, file)));
    const folder = temporaryFolder();
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
      assert.deepEqual(leftIn(folder.path), []);
    } finally {
      folder.remove();
    }
  });

  it("leaves nothing behind when it is ended by Ctrl-C or SIGTERM", async () => {
    const folder = temporaryFolder();
    try {
      for (const [signal, code] of [
        ["SIGINT", 130],
        ["SIGTERM", 143],
      ] as const) {
        const demo = await startServer({ TMPDIR: folder.path }, program);
        assert.equal(leftIn(folder.path).length, 1);
        assert.equal(await demo.end(signal), code);
        assert.deepEqual(leftIn(folder.path), []);
      }
    } finally {
      folder.remove();
    }
  });
});

/** What the demo has in a folder for temporary files. */
function leftIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith("sync-"));
}
