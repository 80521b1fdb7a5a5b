/** The program in docs/embedding.md runs as it is printed. */
import assert from "node:assert/strict";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { fences, read } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { commandFor, projectFolder, runToEnd } from "../support/process.ts";

describe("docs/embedding.md", () => {
  it("has a program that runs, ends by itself, and prints what is shown", async () => {
    const [program, printed, ...rest] = fences(read("docs/embedding.md"));
    assert.deepEqual([program?.language, printed?.language, rest.length], ["ts", "text", 0]);
    const entry = pathToFileURL(join(projectFolder, "server.ts")).href;
    const text = program?.body.replace('"@sync-server/server"', JSON.stringify(entry)) ?? "";
    assert.ok(text.includes(entry));
    const folder = temporaryFolder();
    try {
      symlinkSync(join(projectFolder, "node_modules"), join(folder.path, "node_modules"));
      writeFileSync(join(folder.path, "package.json"), '{"type":"module"}');
      const file = join(folder.path, "embedding.ts");
      writeFileSync(file, text.replace('"data"', JSON.stringify(join(folder.path, "data"))));
      const command = commandFor(file);
      const { code, stdout, stderr } = await runToEnd([], {}, { command, folder: projectFolder });
      assert.equal(code, 0, stderr);
      assert.equal(stdout, printed?.body);
    } finally {
      folder.remove();
    }
  });
});
