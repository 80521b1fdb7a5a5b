/** A user's identity on a device, and the text that carries it to another. */
import assert from "node:assert/strict";
import { createDecipheriv, createPublicKey, generateKeyPairSync, pbkdf2Sync } from "node:crypto";
import { before, describe, it } from "node:test";
import { identityOf } from "../../client/identity/identity.ts";
import { encryptKey } from "../../client/identity/key-text.ts";
import { createIdentity, InvalidKey, importIdentity } from "../../client/identity.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { newPrivateKey } from "../support/private-keys.ts";
import vectors from "../vectors/envelope.json" with { type: "json" };

const PASSPHRASE = "correct horse battery staple";

describe("an identity", () => {
  // Once: a runtime may take seconds for a key.
  let created: ReturnType<typeof createIdentity>;
  before(() => {
    created = createIdentity(PASSPHRASE, { bits: 2048 });
  });

  it("has a key that the server accepts, and the fingerprint that the server computes", async () => {
    for (const [bits, creating] of [
      [2048, created],
      [3072, createIdentity(PASSPHRASE, { bits: 3072 })],
    ] as const) {
      const { identity } = await creating;
      assert.equal(identity.bits, bits);
      assert.equal(fingerprintOf(identity.publicKey), identity.fingerprint);
      const key = Buffer.from(identity.publicKey, "base64");
      const { asymmetricKeyDetails } = createPublicKey({ key, format: "der", type: "spki" });
      assert.equal(asymmetricKeyDetails?.modulusLength, bits);
    }
  });

  it("exports no private key", async () => {
    const { identity } = await created;
    for (const [name, key] of Object.entries(identity.keys)) {
      assert.equal(key.extractable, key.type === "public", name);
      if (key.type === "private") {
        await assert.rejects(crypto.subtle.exportKey("pkcs8", key), name);
        await assert.rejects(crypto.subtle.exportKey("jwk", key), name);
      }
    }
  });

  it("is the same on another device after its text is imported", async () => {
    const { identity, text } = await created;
    const other = await importIdentity(text, PASSPHRASE);
    assert.equal(other.fingerprint, identity.fingerprint);
    assert.equal(other.publicKey, identity.publicKey);
    assert.equal(other.bits, identity.bits);
    const signed = await crypto.subtle.sign(
      { name: "RSA-PSS", saltLength: 32 },
      other.keys.sign,
      new Uint8Array(3),
    );
    assert.ok(
      await crypto.subtle.verify(
        { name: "RSA-PSS", saltLength: 32 },
        identity.keys.verify,
        signed,
        new Uint8Array(3),
      ),
    );
  });

  it("is in a text that holds its primes, encrypted as ENVELOPE.md says", async () => {
    const { identity, text } = await created;
    const bytes = Buffer.from(text.split("\n").slice(1, -2).join(""), "base64url");
    assert.equal(bytes.length, 33 + 2 * 128 + 16);
    assert.deepEqual([bytes[0], bytes.readUInt32BE(1)], [2, 600_000]);
    const key = pbkdf2Sync(PASSPHRASE, bytes.subarray(5, 21), 600_000, 32, "sha256");
    const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(21, 33));
    decipher.setAAD(bytes.subarray(0, 33)).setAuthTag(bytes.subarray(-16));
    const primes = Buffer.concat([decipher.update(bytes.subarray(33, -16)), decipher.final()]);
    const [p, q] = [primes.subarray(0, 128), primes.subarray(128)].map((prime) =>
      BigInt(`0x${prime.toString("hex")}`),
    );
    const spki = Buffer.from(identity.publicKey, "base64");
    const { n = "", e } = createPublicKey({ key: spki, format: "der", type: "spki" }).export({
      format: "jwk",
    });
    assert.equal(e, "AQAB");
    assert.equal((p ?? 0n) * (q ?? 0n), BigInt(`0x${Buffer.from(n, "base64url").toString("hex")}`));
  });

  it("cannot be created with a weak key or passphrase, or with parameters out of range", async () => {
    for (const bits of [1024, 2047, 2049, 2304.5, 4352, 8192, Number.NaN]) {
      await assert.rejects(createIdentity(PASSPHRASE, { bits }), InvalidKey, String(bits));
    }
    for (const passphrase of ["", "1234567", "🐈🐈🐈🐈"]) {
      await assert.rejects(createIdentity(passphrase, { bits: 2048 }), InvalidKey);
    }
    for (const iterations of [0, 1, 599_999, 10_000_001, 600_000.5]) {
      const options = { bits: 2048, iterations };
      await assert.rejects(createIdentity(PASSPHRASE, options), InvalidKey, String(iterations));
    }
  });
});

describe("the text of an identity", () => {
  const { text, passphrase } = vectors.key_text;
  // Each case derives a key from a passphrase, which takes Node and Deno a quarter of a second.
  const { skip, note } = onlyOn("Bun", "the runtime derives the key, and does not read the text");

  it(`can be imported with other line ends, indents, words around it, and on one line${note}`, {
    skip,
  }, async () => {
    const [begin = "", ...lines] = text.trim().split("\n");
    const end = lines.pop() ?? "";
    const spellings = [
      text.replaceAll("\n", "\r\n"),
      text.replaceAll("\n", "\n    "),
      `Here is my key:\n\n${text}\nGreetings`,
      `${begin} ${lines.join(" ")} ${end}`,
      `${begin}${lines.join("")}${end}`,
    ];
    for (const spelling of spellings) {
      assert.equal((await importIdentity(spelling, passphrase)).fingerprint, vectors.fingerprint);
    }
  });

  it(`is read from the primes of any key with its exponent, and refused from others${note}`, {
    skip,
  }, async () => {
    for (const bits of [2048, 3072]) {
      const { privateKey } = generateKeyPairSync("rsa", { modulusLength: bits });
      const { p = "", q = "" } = privateKey.export({ format: "jwk" });
      const primes = Buffer.concat([Buffer.from(p, "base64url"), Buffer.from(q, "base64url")]);
      const text = await encryptKey(Uint8Array.from(primes), PASSPHRASE, undefined, "primes");
      const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
      const identity = await importIdentity(text, PASSPHRASE);
      assert.equal(identity.publicKey, spki.toString("base64"));
      assert.equal(identity.bits, bits);
    }
    for (const [what, wrong] of [
      ["nothing", new Uint8Array(0)],
      ["zeros", new Uint8Array(256)],
      ["an odd number of bytes", new Uint8Array(255).fill(255)],
    ] as const) {
      const text = await encryptKey(wrong, PASSPHRASE, undefined, "primes");
      await assert.rejects(importIdentity(text, PASSPHRASE), InvalidKey, what);
    }
  });

  it("has lines of at most 64 characters, which no mail program breaks", () => {
    for (const line of text.split("\n")) assert.match(line, /^[-A-Za-z0-9_ ]{0,64}$/);
  });

  it("counts a passphrase in code points as typed when it writes a key, and never when it reads one", async () => {
    await encryptKey(new Uint8Array(100), "e\u0301".repeat(4));
    await assert.rejects(
      encryptKey(new Uint8Array(100), "e\u0301".repeat(4).normalize()),
      /at least 8/,
    );
    await assert.rejects(importIdentity(text, "short"), /passphrase is wrong/);
  });

  it("needs its passphrase, in whichever Unicode form it is typed", async () => {
    await assert.rejects(importIdentity(text, `${passphrase}.`), /passphrase is wrong/);
    const key = await newPrivateKey();
    const composed = await encryptKey(key, "schl\u00fcssel");
    const other = await importIdentity(composed, "schlu\u0308ssel");
    assert.equal(other.fingerprint, (await identityOf(key)).fingerprint);
  });

  it(`is refused when it is damaged, cut, of another kind, or demands too many rounds${note}`, {
    skip,
  }, async () => {
    const lines = text.trim().split("\n");
    const body = lines.slice(1, -1).join("");
    const armoured = (base64url: string) => [lines[0], base64url, lines.at(-1)].join("\n");
    const bytes = Buffer.from(body, "base64url");
    const altered = (at: number, value: number) => {
      const copy = Buffer.from(bytes);
      copy.writeUInt8(value, at);
      return armoured(copy.toString("base64url"));
    };
    const iterations = (count: number) => {
      const copy = Buffer.from(bytes);
      copy.writeUInt32BE(count, 1);
      return armoured(copy.toString("base64url"));
    };
    const cases: [string, string, RegExp][] = [
      ["empty", "", /not a key/],
      ["no end", lines.slice(0, -1).join("\n"), /not a key/],
      ["a public key", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", /not a key/],
      ["a letter of another alphabet", armoured(`é${body}`), /damaged/],
      ["next to nothing", armoured(body.slice(0, 40)), /damaged/],
      ["far too long", armoured("A".repeat(20_000)), /damaged/],
      ["cut", armoured(body.slice(0, -40)), /passphrase is wrong, or the key is damaged/],
      ["an unknown version", altered(0, 3), /version 3/],
      ["another version", altered(0, 2), /wrong/],
      ["another salt", altered(5, (bytes[5] ?? 0) ^ 1), /wrong/],
      ["another nonce", altered(21, (bytes[21] ?? 0) ^ 1), /wrong/],
      ["other content", altered(99, (bytes[99] ?? 0) ^ 1), /wrong/],
      ["one round", iterations(1), /only 600000 to 10000000/],
      ["4 billion rounds", iterations(2 ** 32 - 1), /only 600000 to 10000000/],
      ["another number of rounds", iterations(600_001), /wrong/],
    ];
    const ec = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
      "sign",
      "verify",
    ]);
    const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", ec.privateKey));
    cases.push(["of another algorithm", await encryptKey(pkcs8, passphrase), /not an RSA key/]);
    cases.push(["of nothing", await encryptKey(new Uint8Array(100), passphrase), /not an RSA key/]);
    for (const [what, spelling, message] of cases) {
      await assert.rejects(
        importIdentity(spelling, passphrase),
        (error) => error instanceof InvalidKey && message.test(error.message),
        what,
      );
    }
  });
});
