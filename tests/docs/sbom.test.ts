/** What `npm run sbom` lists is what is in the one file, as npm knows it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { promisify } from "node:util";
import manifest from "../../package.json" with { type: "json" };
import { temporaryFolder } from "../support/folder.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { projectFolder } from "../support/process.ts";

interface Component {
  readonly purl: string;
  readonly licenses: readonly unknown[];
}
interface Bill {
  readonly components: readonly Component[];
}

const { skip, note } = onlyOn("Node", "Bun makes it, and npm another one");
const run = (program: string, args: readonly string[]) =>
  promisify(execFile)(program, args, { cwd: projectFolder, maxBuffer: 2 ** 24 });

describe(`npm run sbom${note}`, { skip }, () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  it("lists the packages that the one file contains, with their licences", async () => {
    const made = (name: string) => join(folder.path, name);
    const [bun = "", ...args] = manifest.scripts.sbom.split(" ");
    const program = join(projectFolder, "node_modules", ".bin", bun);
    await run(program, [...args.slice(0, -1), made("bill.json")]);
    await run(program, ["scripts/build.ts", made("server.js")]);
    const bill: Bill = JSON.parse(readFileSync(made("bill.json"), "utf8"));

    const licences = readFileSync(made("server.js"), "utf8").split("\n/*!\n").at(-1) ?? "";
    const inFile = [...licences.matchAll(/^(\S+) (\d+\.\d+\.\d+) \(.+\)$/gm)].map(
      ([, name = "", version]) => `pkg:npm/${name.replace("@", "%40")}@${version}`,
    );
    const own = `pkg:npm/%40sync-server/server@${manifest.version}`;
    assert.deepEqual(
      bill.components.map(({ purl }) => purl).sort(),
      [...new Set(inFile)].filter((purl) => purl !== own).sort(),
    );
    const names = ["valibot", "%40aws-sdk/client-s3", "%40redis/client"];
    for (const name of names)
      assert.ok(
        inFile.some((purl) => purl.includes(`/${name}@`)),
        name,
      );

    const { stdout } = await run("npm", ["sbom", "--workspaces=false", "--sbom-format=cyclonedx"]);
    const installed: Bill = JSON.parse(stdout);
    const known = new Map(installed.components.map((each) => [each.purl, each.licenses]));
    for (const { purl, licenses } of bill.components)
      assert.deepEqual(licenses, known.get(purl), purl);
  });
});
