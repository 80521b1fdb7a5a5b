import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import client from "../../client/package.json" with { type: "json" };
import manifest from "../../package.json" with { type: "json" };
import { projectFolder } from "../support/process.ts";

describe("package-lock.json", () => {
  it("names no registry, so that an install asks the one that is set up", () => {
    const text = readFileSync(join(projectFolder, "package-lock.json"), "utf8");
    assert.deepEqual(text.match(/"resolved": "[^"]*"/g), [
      '"resolved": "client"',
      '"resolved": "examples/notebook"',
      '"resolved": "examples/todo"',
      '"resolved": "examples/yjs-editor"',
    ]);
    const urls = text.match(/"https?:[^"]*"/g) ?? [];
    assert.deepEqual(
      urls.filter((url) => /registry|npmjs|\.tgz/.test(url)),
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

describe("the packages", () => {
  it("have one version", () => {
    assert.equal(client.version, manifest.version);
  });

  it("have no script that an install runs or npm warns of", () => {
    const scripts = Object.keys({ ...manifest.scripts, ...client.scripts });
    const ofInstall = /^(pre|post)?(install|prepare)$/;
    assert.deepEqual(
      scripts.filter((name) => ofInstall.test(name)),
      [],
    );
  });

  it("bring no AWS SDK, and the client brings nothing", () => {
    assert.ok(!Object.keys(manifest.dependencies).some((name) => name.startsWith("@aws-sdk/")));
    assert.ok(!("dependencies" in client));
    for (const name of Object.keys(client.peerDependencies)) {
      assert.deepEqual(
        Object.entries(client.peerDependenciesMeta).find(([peer]) => peer === name),
        [name, { optional: true }],
      );
    }
  });
});
