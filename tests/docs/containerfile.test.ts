/** The Containerfile, as far as it can be tried without building the image. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, existsSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { promisify } from "node:util";
import manifest from "../../package.json" with { type: "json" };
import { read } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { projectFolder } from "../support/process.ts";

const { skip, note } = onlyOn("Node", "it is about files, and a build that Bun makes");

describe(`Containerfile${note}`, { skip }, () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  it("checks the health of the container without a proxy that its environment names", () => {
    for (const file of ["Containerfile", "deploy/compose.yaml", "deploy/compose.cluster.yaml"]) {
      const [check = ""] = /^.*wget.*$/m.exec(read(file)) ?? [];
      assert.match(check.replaceAll(/[",]/g, ""), / -Y off -O \/dev\/null http:\/\/127/);
    }
  });

  it("labels the image with what it is, as package.json says", () => {
    const labels = new Map(
      [...read("Containerfile").matchAll(/org\.opencontainers\.image\.(\w+)="(.*?)"/g)].map(
        ([, name, value = ""]) => [name, value],
      ),
    );
    const source = manifest.homepage.replace("#readme", "");
    assert.equal(labels.get("source"), source);
    assert.equal(labels.get("licenses"), manifest.license);
    assert.ok(manifest.description.startsWith(labels.get("description") ?? " "));
    const document = labels.get("documentation")?.replace(`${source}/blob/main/`, "");
    assert.ok(existsSync(join(projectFolder, document ?? "")));
  });

  it("copies all that the build needs, and starts what it makes", async () => {
    const containerfile = read("Containerfile");
    const copied = [...containerfile.matchAll(/^COPY ([^-].*) \S+$/gm)].flatMap(
      ([, sources]) => sources?.split(" ") ?? [],
    );
    const ignored = read(".dockerignore").split("\n");
    for (const source of copied) {
      assert.ok(ignored.includes(`!${source}`), `${source} is kept out by .dockerignore`);
      const ending = source.startsWith("*") ? source.slice(1) : undefined;
      const paths =
        ending === undefined
          ? [source]
          : readdirSync(projectFolder).filter((path) => path.endsWith(ending));
      for (const path of paths) {
        cpSync(join(projectFolder, path), join(folder.path, path), { recursive: true });
      }
    }
    const modules = join(projectFolder, "node_modules");
    symlinkSync(modules, join(folder.path, "node_modules"));
    assert.match(containerfile, /^RUN npm run build$/m);
    const [bun = "", ...args] = manifest.scripts.build.split(" ");
    await promisify(execFile)(join(modules, ".bin", bun), args, { cwd: folder.path });
    assert.ok(existsSync(join(folder.path, "dist", "server.js")));
    assert.match(containerfile, /^COPY --from=build \/app\/dist\/server\.js \.\/$/m);
    assert.match(containerfile, /^CMD \["node", "server\.js"\]$/m);
  });
});
