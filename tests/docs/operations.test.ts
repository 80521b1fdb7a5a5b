/** The documents for operators name every setting and every metric, and the command that CI runs. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { helpText } from "../../server/help.ts";
import { blocksOf, read, section } from "../support/documents.ts";
import { serveHere } from "../support/http.ts";

describe("docs/settings.md", () => {
  it("lists every setting with its default, in the order of --help", () => {
    const known = [...helpText().matchAll(/^ {2}([A-Z_]+) +(\S+) /gm)];
    const table = section(read("docs/settings.md"), "All settings");
    const listed = [...table.matchAll(/^\| `([A-Z_]+)` \| `(.+?)` \|/gm)];
    const pairs = (found: RegExpMatchArray[]) => found.map(([, name, value]) => [name, value]);
    assert.deepEqual(pairs(listed), pairs(known));
    assert.ok(known.length > 0);
  });
});

describe("docs/operations.md", () => {
  it("lists every metric of the server", async () => {
    const table = section(read("docs/operations.md"), "Watch");
    const rows = [...table.matchAll(/^\| (`sync_.+?`) \|/gm)].map(([, names = ""]) => names);
    const listed = rows.flatMap((names) => [...names.matchAll(/`(sync_\w+)`/g)]);
    const { url, close } = await serveHere();
    try {
      const text = await (await fetch(new URL("/metrics", url))).text();
      const known = [...text.matchAll(/^# TYPE (sync_\w+) /gm)];
      const names = (found: RegExpMatchArray[]) => found.map(([, name]) => name).sort();
      assert.deepEqual(names(listed), names(known));
      assert.ok(known.length > 0);
    } finally {
      await close();
    }
  });
});

describe("CONTRIBUTING.md", () => {
  it("names the test command that .ci/run runs", () => {
    const [block] = blocksOf(section(read("CONTRIBUTING.md"), "Start"), "sh");
    const commands = block?.trim().split(" && ") ?? [];
    assert.ok(commands.length > 0);
    const run = read(".ci/run").trimEnd().split("\n");
    assert.deepEqual(
      run.filter((line) => commands.includes(line)),
      commands,
    );
    assert.equal(run.at(-1), commands.at(-1));
  });
});
