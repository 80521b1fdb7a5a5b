/** The notebook on the command line, at a server that accepts only the users on its list. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere } from "../support/http.ts";
import { addInvite, listWithInvite } from "../support/invites.ts";
import { logOf, run } from "../support/notebook-cli.ts";

describe("the notebook on the command line, with an invite", () => {
  const folder = temporaryFolder();
  const path = join(folder.path, "users");
  const at = (name: string) => join(folder.path, name);
  let server: Serving | undefined;
  let code = "";
  before(async () => {
    code = listWithInvite(path);
    server = await serveHere({ USERS: path });
  });
  after(async () => {
    await server?.close();
    folder.remove();
  });
  const init = (name: string, ...more: string[]) =>
    run([
      ...["init", "--bits", "2048", "--server", server?.url ?? "", "--folder", at(name)],
      ...more,
    ]);

  it("is let in when the device is made, and a second device needs no invite", async () => {
    const made = await init("laptop", "--invite", code);
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stderr, /has accepted the key$/m);
    assert.equal((await run(["send", "by the laptop", "--folder", at("laptop")])).code, 0);
    const { stdout: key } = await run(["export", "--folder", at("laptop")]);
    const args = ["import", "--server", server?.url ?? "", "--folder", at("phone")];
    assert.equal((await run(args, { input: key })).code, 0);
    assert.deepEqual(await logOf(at("phone")), ["by the laptop"]);
  });

  it("says why an invite is refused, keeps the device, and accepts another invite later", async () => {
    const made = await init("tablet", "--invite", code);
    assert.equal(made.code, 1);
    assert.match(made.stderr, /the invite is not used: .*another key has used it/);
    const sent = await run(["send", "kept", "--folder", at("tablet")]);
    assert.equal(sent.code, 1);
    const other = addInvite(path);
    const late = await run(["status", "--invite", other, "--folder", at("tablet")]);
    assert.equal(late.code, 0, late.stderr);
    assert.match(late.stdout, /^status +synced$/m);
  });

  it("makes no device for a malformed code", async () => {
    for (const wrong of ["", "two words"]) {
      const { code: exit, stderr } = await init("none", `--invite=${wrong}`);
      assert.deepEqual([exit, existsSync(at("none"))], [2, false], stderr);
    }
  });
});
