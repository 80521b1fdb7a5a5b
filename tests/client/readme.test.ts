/** The example in the client's README runs as it is printed. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { fences, read } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { serveHere } from "../support/http.ts";
import { commandFor, projectFolder, runToEnd } from "../support/process.ts";

/** The package's entries, by their names in the README. */
const ENTRIES = {
  '"@sync-server/client"': "client/index.ts",
  '"@sync-server/client/identity"': "client/identity.ts",
  '"@sync-server/client/folder"': "client/folder.ts",
};

describe("client/README.md", () => {
  it("has an example of 15 lines that syncs with a server", async () => {
    const example = fences(read("client/README.md")).find(({ language }) => language === "ts");
    const lines = example?.body.split("\n").filter((line) => line !== "") ?? [];
    assert.ok(lines.length <= 15, `it has ${lines.length} lines`);
    const folder = temporaryFolder();
    const server = await serveHere();
    try {
      const replaced: Readonly<Record<string, string>> = {
        ...Object.fromEntries(
          Object.entries(ENTRIES).map(([name, path]) => {
            return [name, JSON.stringify(pathToFileURL(join(projectFolder, path)).href)];
          }),
        ),
        '"http://localhost:8080"': JSON.stringify(server.url),
        '"sync-data"': JSON.stringify(join(folder.path, "sync-data")),
      };
      let program = example?.body ?? "";
      for (const [text, by] of Object.entries(replaced)) {
        assert.ok(program.includes(text), text);
        program = program.replace(text, by);
      }
      const file = join(folder.path, "example.ts");
      writeFileSync(join(folder.path, "package.json"), '{"type":"module"}');
      writeFileSync(file, program);
      const { code, stdout, stderr } = await runToEnd(
        [],
        {},
        { command: commandFor(file), folder: projectFolder },
      );
      assert.equal(code, 0, stderr);
      assert.match(stdout, /synced/);
    } finally {
      await server.close();
      folder.remove();
    }
  });
});
