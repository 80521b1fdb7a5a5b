/** The notebook on the command line with keys of other programs. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere } from "../support/http.ts";
import { logOf, run } from "../support/notebook-cli.ts";

const RSA = ["-algorithm", "RSA", "-pkeyopt"] as const;

/** What it prints: a key in PEM. */
function openssl(...args: readonly string[]): string {
  return execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

describe("the notebook on the command line, with a key in PEM", () => {
  const folder = temporaryFolder();
  let server: Serving | undefined;
  before(async () => {
    server = await serveHere();
  });
  after(async () => {
    await server?.close();
    folder.remove();
  });

  const importInto = (name: string, args: readonly string[], input = "") =>
    run(["import", ...args, "--server", server?.url ?? "", "--folder", join(folder.path, name)], {
      input,
    });

  it("opens a notebook with the key of the README's quick start, and carries it on", async () => {
    const pem = join(folder.path, "private.pem");
    writeFileSync(pem, openssl("genpkey", ...RSA, "rsa_keygen_bits:3072"));
    const imported = await importInto("first", [pem]);
    assert.equal(imported.code, 0, imported.stderr);
    const { stdout: key } = await run(["export", "--folder", join(folder.path, "first")]);
    assert.match(key, /^-----BEGIN SYNC-SERVER KEY-----$/m);
    assert.equal((await importInto("second", [], key)).code, 0);
    const sent = await run(["send", "with my own key", "--folder", join(folder.path, "first")]);
    assert.equal(sent.code, 0, sent.stderr);
    assert.deepEqual(await logOf(join(folder.path, "second")), ["with my own key"]);
  });

  it("says of a key that it does not take what to do, and makes no device", async () => {
    const plain = join(folder.path, "plain.pem");
    writeFileSync(plain, openssl("genpkey", ...RSA, "rsa_keygen_bits:2048"));
    const key = readFileSync(plain, "utf8");
    const encrypted = ["-aes-256-cbc", "-passout", "pass:another passphrase"];
    const refused: readonly (readonly [what: string, pem: string, message: RegExp])[] = [
      ["encrypted", openssl("pkey", "-in", plain, ...encrypted), /passphrase: .*openssl pkey -in/],
      ["PKCS #1", openssl("pkey", "-in", plain, "-traditional"), /PKCS #1: .*openssl pkey -in/],
      ["public", openssl("pkey", "-in", plain, "-pubout"), /private key is needed/],
      ["of a curve", openssl("genpkey", "-algorithm", "ED25519"), /not an RSA key/],
      ["for PSS alone", openssl("genpkey", "-algorithm", "RSA-PSS"), /not an RSA key/],
      ["of 2056 bits", openssl("genpkey", ...RSA, "rsa_keygen_bits:2056"), /4096 .* not 2056$/m],
      ["too short", openssl("genpkey", ...RSA, "rsa_keygen_bits:1024"), /4096 .* not 1024$/m],
      ["cut", key.slice(0, 400), /must have the lines/],
      ["damaged", key.replace(/^M/m, "!"), /damaged/],
    ];
    for (const [what, pem, message] of refused) {
      const { code, stderr } = await importInto("refused", [], pem);
      assert.equal(code, 1, what);
      assert.match(stderr, message, what);
      assert.match(stderr, /^Error: .*\n$/, what);
      assert.ok(!existsSync(join(folder.path, "refused")), what);
    }
  });
});
