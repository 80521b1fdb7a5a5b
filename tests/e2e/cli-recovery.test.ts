/** The notebook on the command line: the recovery sheet, and a key that has never stored anything. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseHTML } from "linkedom";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere } from "../support/http.ts";
import { run } from "../support/notebook-cli.ts";

describe("recovery on the command line", () => {
  const folder = temporaryFolder();
  const at = (name: string) => join(folder.path, name);
  let server: Serving | undefined;
  before(async () => {
    server = await serveHere();
    const url = server.url;
    const made = await run(["init", "--bits", "2048", "--server", url, "--folder", at("laptop")]);
    assert.equal(made.code, 0, made.stderr);
  });
  after(async () => {
    await server?.close();
    folder.remove();
  });
  const importInto = (name: string, input: string) =>
    run(["import", "--server", server?.url ?? "", "--folder", at(name)], { input });

  it("says of an imported key when no other device has stored anything, once", async () => {
    const { stdout: key } = await run(["export", "--folder", at("laptop")]);
    assert.equal((await importInto("phone", key)).code, 0);
    const nothing =
      /^Warning: no other device has ever stored anything on http:\S+ with this key\./m;
    assert.match((await run(["log", "--folder", at("phone")])).stderr, nothing);
    assert.doesNotMatch((await run(["log", "--folder", at("laptop")])).stderr, nothing);
    assert.match((await run(["send", "by the phone", "--folder", at("phone")])).stderr, nothing);
    assert.doesNotMatch((await run(["log", "--folder", at("phone")])).stderr, nothing);
    assert.equal((await importInto("tablet", key)).code, 0);
    const found = await run(["log", "--folder", at("tablet")]);
    assert.deepEqual([found.code, found.stderr], [0, ""]);
  });

  it("is a page that loads nothing, and opens the notebook as it is", async () => {
    const { stdout } = await run(["status", "--folder", at("laptop")]);
    const [, fingerprint = ""] = /^fingerprint +(\S+)$/m.exec(stdout) ?? [];
    const file = at("sheet.html");
    await server?.close();
    const made = await run(["recovery", file, "--folder", at("laptop")]);
    assert.deepEqual([made.code, made.stderr], [0, ""]);
    assert.match(
      made.stdout,
      /sheet\.html opens the notebook [\w-]{8} with the passphrase: that was/,
    );
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const html = readFileSync(file, "utf8");
    assert.ok(fingerprint !== "" && html.includes(fingerprint));
    const { document } = parseHTML(html);
    assert.equal(document.querySelectorAll("script, img, link, iframe").length, 0);
    assert.doesNotMatch(html, /url\(|@import/);
    const codes = document.querySelectorAll("figure svg path").length;
    assert.equal(codes, 1);
    assert.match(html, /Scan the code with a camera/);

    server = await serveHere();
    assert.equal((await importInto("new", html)).code, 0);
    const { key } = JSON.parse(readFileSync(join(at("new"), "device.json"), "utf8"));
    assert.match(key, /^-----BEGIN SYNC-SERVER KEY-----\n[\w\n-]+-----END SYNC-SERVER KEY-----\n$/);
    const { stdout: status } = await run(["status", "--folder", at("new")]);
    assert.match(status, new RegExp(`^fingerprint +${fingerprint}$`, "m"));
  });

  it("replaces no file, and writes none where the passphrase is wrong", async () => {
    const [there, none] = [at("there.html"), at("none.html")];
    writeFileSync(there, "another sheet");
    const refused = await run(["recovery", there, "--folder", at("laptop")]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /there\.html is there already: name another file/);
    assert.equal(readFileSync(there, "utf8"), "another sheet");
    const wrong = await run(["recovery", none, "--folder", at("laptop")], {
      passphrase: "another passphrase",
    });
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /the passphrase is wrong/);
    assert.equal(existsSync(none), false);
  });
});
