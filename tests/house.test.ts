import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import manifest from "../package.json" with { type: "json" };
import { projectFolder } from "./support/process.ts";

/** Which folders of the house the code of a folder may import from; the top level, all of them. */
const MAY_IMPORT: Record<string, string[]> = {
  storage: ["storage"],
  sync: ["sync", "storage"],
  http: ["http", "sync", "storage"],
  client: ["client"],
};
const TOP = ".";

/** The only files of client/ that may import anything but client/: they are not for browsers. */
const NOT_FOR_BROWSERS = /^client\/(folder-\w+|cli(-\w+)?)\.ts$/;

interface Source {
  /** The path within the project. */
  readonly file: string;
  readonly folder: string;
  readonly text: string;
  /** What it imports: paths within the project, and names of modules. */
  readonly paths: string[];
  readonly modules: string[];
}

function sourceOf(file: string): Source {
  const text = readFileSync(join(projectFolder, file), "utf8");
  const imported = [...text.matchAll(/(?:\bfrom\s+|\bimport\s*\(?\s*)"([^"]+)"/g)].map(
    ([, name = ""]) => name,
  );
  const local = imported.filter((name) => name.startsWith("."));
  return {
    file,
    folder: file.includes("/") ? file.slice(0, file.indexOf("/")) : TOP,
    text,
    paths: local.map((name) => join(dirname(file), name)),
    modules: imported.filter((name) => !name.startsWith(".")),
  };
}

const folders = Object.keys(MAY_IMPORT);
const sources = [TOP, ...folders]
  .flatMap((folder) => readdirSync(join(projectFolder, folder)).map((name) => join(folder, name)))
  .filter((file) => file.endsWith(".ts"))
  .map(sourceOf);

describe("the code of the product", () => {
  it("is found by this test, and its imports are", () => {
    const server = sources.find(({ file }) => file === "server.ts");
    assert.ok(server?.paths.includes("storage/open.ts"));
    assert.ok(server?.modules.includes("itty-router"));
    for (const folder of folders) assert.ok(sources.some((source) => source.folder === folder));
  });

  for (const { file, folder, text, paths, modules } of sources) {
    it(`${file} keeps to the rules of the house`, () => {
      for (const path of paths) {
        const target = path.includes("/") ? path.slice(0, path.indexOf("/")) : TOP;
        assert.ok(
          folder === TOP || MAY_IMPORT[folder]?.includes(target),
          `${folder}/ must not import ${path}: imports run http → sync → storage, client/ alone`,
        );
        assert.match(path, /\.(ts|json)$/, "a local import ends in .ts");
        if (/^storage\/(filesystem|memory|s3)\.ts$/.test(path)) {
          assert.equal(file, "storage/open.ts", "only storage/open.ts knows the drivers");
        }
      }
      // A browser runs it as it stands, without types.
      if (folder === "client" && !NOT_FOR_BROWSERS.test(file)) assert.deepEqual(modules, []);
      for (const name of modules) {
        if (folder === "client") assert.match(name, /^node:/, "the client needs nothing from npm");
        const known = name.startsWith("node:")
          ? builtinModules.includes(name.slice("node:".length))
          : packageOf(name) in manifest.dependencies;
        assert.ok(known, `${name} is no dependency in package.json`);
      }
      const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
      assert.doesNotMatch(code, /[:<|]\s*any\b|\bas\s+(any|unknown)\b/, "no any, no blind cast");
      assert.doesNotMatch(code, /@ts-|biome-ignore/, "the checkers are not silenced");
    });
  }
});

describe("the map of the house in CONTRIBUTING.md", () => {
  const text = readFileSync(join(projectFolder, "CONTRIBUTING.md"), "utf8");
  const map = /^```text\n(server\.ts .*?)^```$/ms.exec(text)?.[1] ?? "";
  const named = [...map.matchAll(/[\w*-]+\.ts/g)].map(
    ([name]) => new RegExp(`^${name.replace(".", "\\.").replace("*", ".*")}$`),
  );
  const namesIn = (folder: string) =>
    readdirSync(join(projectFolder, folder), { recursive: true, encoding: "utf8" }).map((path) =>
      path.slice(path.lastIndexOf("/") + 1),
    );

  it("names every file of the product, by itself or with others", () => {
    const scripts = namesIn("scripts");
    const files = [...sources.map(({ file }) => file.slice(file.indexOf("/") + 1)), ...scripts];
    const missing = files.filter((file) => !named.some((pattern) => pattern.test(file)));
    assert.deepEqual(missing, []);
    assert.ok(scripts.includes("build.ts"));
  });

  it("names no file that is not there", () => {
    const top = readdirSync(projectFolder);
    const files = top.concat(
      ["bench", "client", "http", "scripts", "storage", "sync", "tests"].flatMap(namesIn),
    );
    const gone = named.filter((pattern) => !files.some((file) => pattern.test(file)));
    assert.deepEqual(gone, []);
    assert.ok(named.length > 80);
  });
});

describe("package-lock.json", () => {
  it("names no registry, so that an install asks the one that is set up", () => {
    const text = readFileSync(join(projectFolder, "package-lock.json"), "utf8");
    assert.doesNotMatch(text, /"resolved"/);
    const urls = text.match(/"https?:[^"]*"/g) ?? [];
    assert.deepEqual(
      urls.filter((url) => /registry|npm|\.tgz/.test(url)),
      [],
    );
  });

  it("has the exact versions that package.json asks for", () => {
    const lock = JSON.parse(readFileSync(join(projectFolder, "package-lock.json"), "utf8"));
    for (const [name, version] of Object.entries({
      ...manifest.dependencies,
      ...manifest.devDependencies,
    })) {
      assert.match(version, /^\d+\.\d+\.\d+$/, `${name} is pinned`);
      assert.equal(lock.packages[`node_modules/${name}`].version, version);
    }
  });
});

/** The package of an import: `srvx` of `srvx/bun`, `@scope/name` of `@scope/name/part`. */
function packageOf(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}
