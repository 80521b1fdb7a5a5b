/** How the server is started and ended by other programs. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { nodeTooOld } from "../../server/start.ts";
import { temporaryFolder } from "../support/folder.ts";
import { commandFor, projectFolder, startServer } from "../support/process.ts";

const settings = { STORAGE: "memory:" };

describe("a Node that is too old", () => {
  it("is told which version is needed", () => {
    for (const node of ["18.20.8", "20.10.0", "20.18.3"]) {
      assert.equal(
        nodeTooOld({ node }),
        `Sync-Server needs Node 20.19 or later. This is Node ${node}.`,
      );
    }
  });

  it("is none that the server runs on, nor what Bun and Deno say they are", () => {
    for (const node of ["20.19.0", "20.20.2", "22.0.0", "24.11.1"]) {
      assert.equal(nodeTooOld({ node }), undefined);
    }
    assert.equal(nodeTooOld({ node: "18.0.0", bun: "1.4.5" }), undefined);
    assert.equal(nodeTooOld({ node: "18.0.0", deno: "2.9.5" }), undefined);
    assert.equal(nodeTooOld(process.versions), undefined);
  });
});

describe("the server under a supervisor", () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  const elsewhere = process.versions.bun ?? process.versions.deno;
  const where = elsewhere === undefined ? "" : " (skipped: npm and pm2 start Node)";
  for (const command of [
    ["npm", "start"],
    ["npm", "run", "dev"],
    ["npx", "bun", "server.ts"],
    ["npx", "deno", "run", "--allow-all", "server.ts"],
  ] as const) {
    it(`ends when ${command.join(" ")} gets SIGTERM${where}`, {
      skip: elsewhere !== undefined,
    }, async () => {
      const server = await startServer(settings, { command: [...command], folder: projectFolder });
      // Resolves once nobody holds its output any longer, so that no process is left.
      await server.end("SIGTERM");
      assert.match(server.output(), /"message":"stopping"/);
      await assert.rejects(fetch(new URL("/health", server.url)));
    });
  }

  it(`starts where pm2 imports it and names it in the environment${where}`, {
    skip: elsewhere !== undefined,
  }, async () => {
    const file = join(projectFolder, "server.ts");
    const container = join(folder.path, "container.mjs");
    writeFileSync(container, `await import(${JSON.stringify(pathToFileURL(file).href)});`);
    const program = { command: commandFor(container), folder: projectFolder };
    const server = await startServer({ ...settings, pm_exec_path: file }, program);
    assert.equal((await fetch(new URL("/health", server.url))).status, 200);
    assert.equal(await server.end("SIGINT"), 0);
  });
});
