/** The notebook on the command line: keys of other programs, and the end of a key. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere } from "../support/http.ts";
import { logOf, openNotebook, run } from "../support/notebook-cli.ts";

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
    assert.match(imported.stdout, /does not say what the notebook has: compare the state codes/);
    const { stdout: key } = await run(["export", "--folder", join(folder.path, "first")]);
    assert.match(key, /^-----BEGIN SYNC-SERVER KEY-----$/m);
    assert.match(key, /^-----BEGIN SYNC-SERVER HEADS-----$/m);
    assert.equal((await importInto("second", [], key)).code, 0);
    const sent = await run(["send", "with my own key", "--folder", join(folder.path, "first")]);
    assert.equal(sent.code, 0, sent.stderr);
    assert.deepEqual(await logOf(join(folder.path, "second")), ["with my own key"]);
    const { stdout } = await run(["status", "--folder", join(folder.path, "second")]);
    assert.match(stdout, /^ {2}[0-9a-f]{8} +\S.*, heard of (just now|\d+ minutes? ago)$/m);
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

describe("erase of the notebook on the command line", () => {
  const folder = temporaryFolder();
  const [laptop, phone] = [join(folder.path, "laptop"), join(folder.path, "phone")];
  let server: Serving | undefined;
  before(async () => {
    server = await serveHere();
    await openNotebook(server.url, laptop, phone);
    assert.equal((await run(["send", "written here", "--folder", laptop])).code, 0);
  });
  after(async () => {
    await server?.close();
    folder.remove();
  });

  it("deletes nothing unless the word is typed", async () => {
    for (const input of ["", "yes\n", "no\nerase\n"]) {
      const { code, stdout, stderr } = await run(["erase", "--folder", phone], { input });
      assert.match(stderr, /for all devices\. It cannot be undone\.$/m);
      assert.match(stderr, /Error: nothing was deleted: erase was not typed$/m);
      assert.deepEqual([code, stdout], [1, ""], input);
    }
    assert.deepEqual(await logOf(phone), ["written here"]);
  });

  it("deletes the notebook for all devices, and says what is left on this one", async () => {
    const erased = await run(["erase", "--folder", phone], { input: "erase\n" });
    assert.equal(erased.code, 0, erased.stderr);
    assert.match(
      erased.stdout,
      /^All notes of the notebook [\w-]{8} are deleted from http:\S+, which will not accept any with this key again\.$/m,
    );
    assert.ok(erased.stdout.includes(`${phone} keeps the key and all notes that it has`));
    const log = await run(["log", "--folder", laptop]);
    assert.match(log.stdout, /^.*written here$/m);
    assert.match(log.stderr, /^Warning: .*erased/m);
    assert.equal(log.code, 1);
    const other = await run(["log", "--folder", phone]);
    assert.equal(other.code, 1);
    assert.match(other.stdout, /^.*written here$/m);
  });

  it("does not ask with --yes, and succeeds again for a notebook that is erased", async () => {
    const { code, stderr } = await run(["erase", "--yes", "--folder", laptop]);
    assert.deepEqual([code, stderr], [0, ""]);
  });

  it("fails, and says to run it again, where the server is not reached", async () => {
    await server?.close();
    server = undefined;
    const { code, stdout, stderr } = await run(["erase", "--yes", "--folder", laptop]);
    assert.match(stderr, /^Error: .*cannot be reached.*\. It is not certain .* run erase until it/);
    assert.deepEqual([code, stdout], [1, ""]);
  });
});
