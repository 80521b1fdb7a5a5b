/** The programs in docs/embedding.md run as they are printed. */
import assert from "node:assert/strict";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { fences, read } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { commandFor, projectFolder, runToEnd } from "../support/process.ts";
import { hasRedis, startRedis } from "../support/redis.ts";

const [program, printed, ofCluster, printedByCluster, ...rest] = fences(read("docs/embedding.md"));

describe("docs/embedding.md", () => {
  it("has a program that runs, ends by itself, and prints what is shown", async () => {
    assert.deepEqual([program?.language, printed?.language, rest.length], ["ts", "text", 0]);
    assert.equal(await outputOf(program?.body ?? ""), printed?.body);
  });

  it("has a program with a cluster that does the same", {
    skip: !hasRedis && "there is no redis-server",
  }, async () => {
    assert.deepEqual([ofCluster?.language, printedByCluster?.language], ["ts", "text"]);
    const redis = await startRedis();
    try {
      const body = ofCluster?.body ?? "";
      const text = body.replace("redis://127.0.0.1:6379", redis.url);
      assert.ok(text.includes(redis.url));
      assert.equal(await outputOf(text), printedByCluster?.body);
    } finally {
      await redis.remove();
    }
  });
});

/** What a program prints that imports the package. */
async function outputOf(program: string): Promise<string> {
  const entry = pathToFileURL(join(projectFolder, "server.ts")).href;
  const text = program.replace('"@sync-server/server"', JSON.stringify(entry));
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
    return stdout;
  } finally {
    folder.remove();
  }
}
