/** The bindings of the client to other libraries, at the lowest version of each. */
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import client from "../../client/package.json" with { type: "json" };
import { projectFolder } from "../support/process.ts";
import { install, output } from "./install.ts";

const PROGRAMS = join(projectFolder, "tests", "packages", "bindings");
const TSC = join(projectFolder, "node_modules", ".bin", "tsc");

/** What the packages test has prepared. */
export interface Prepared {
  /** The tarball of the client. */
  readonly client: string;
  /** An app in which both packages are installed. */
  readonly app: string;
  /** The address of a server. */
  readonly url: string;
  /** Where apps can be made. */
  readonly folder: string;
}

/** The lowest version of each library, as npm is asked for it. All other tests have the newest. */
const LOWEST = Object.entries(client.peerDependencies).flatMap(([name, range]) => {
  const version = range.replace(/^\^| .*/g, "");
  return name === "react" ? [`react@${version}`, `react-dom@${version}`] : [`${name}@${version}`];
});

export function testBindings(prepared: () => Prepared): void {
  it(`type-check and sync with the lowest versions of libraries: ${LOWEST.join(", ")}`, async () => {
    const { client, url, folder } = prepared();
    // They are of different years, and not made for each other.
    const together = [client, ...LOWEST, "--legacy-peer-deps"];
    const app = await install(join(folder, "bindings"), together);
    cpSync(PROGRAMS, app, { recursive: true });
    await output([TSC, "-p", "."], app);
    const run = (name: string) => output([process.execPath, join("out", name), url], app);
    assert.equal(await run("yjs.js"), "yjs: 30 characters, connected\n");
    const todos = '{"todos":{"a":{"done":true},"b":{"title":"Feed the cat"}}}';
    assert.equal(await run("tinybase.js"), `tinybase: [${todos},{"theme":"dark"}]\n`);
    assert.equal(await run("rendered.js"), "react: synced, no document\n");
  });
}
