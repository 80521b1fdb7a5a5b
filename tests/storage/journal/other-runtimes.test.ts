/** Journals that one runtime writes and another one reads. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { openStorage } from "../../../storage/open.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { projectFolder } from "../../support/process.ts";
import { someFingerprint } from "../../support/users.ts";

const bin = (name: string) => join(projectFolder, "node_modules", ".bin", name);
const LIST = join("tests", "storage", "journal", "list-process.ts");
const RUNTIMES: Readonly<Record<string, readonly [string, ...string[]]>> = {
  Node: ["node", "--import", "tsx", LIST],
  Bun: [bin("bun"), LIST],
  Deno: [bin("deno"), "run", "--allow-all", LIST],
};

describe("journals of this runtime", () => {
  for (const [reader, [command, ...args]] of Object.entries(RUNTIMES)) {
    it(`are no copies for ${reader}, so what was packed stays deleted`, async () => {
      const folder = temporaryFolder();
      try {
        const user = someFingerprint();
        const [packed, segment] = [`${user}.1`, `${user}.2`];
        const driver = await openStorage(folder.path);
        for (const name of [packed, segment]) await driver.put(name, Buffer.from(name));
        await driver.delete(packed, segment);
        await driver.close();
        const options = { cwd: projectFolder };
        const { stdout } = await promisify(execFile)(command, [...args, folder.path], options);
        assert.deepEqual(JSON.parse(stdout), [segment]);
      } finally {
        folder.remove();
      }
    });
  }
});
