import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { fingerprintOf, InvalidPublicKey, PublicKeyCache } from "../../sync/public-key.ts";

const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
const pem = pair.publicKey.export({ type: "spki", format: "pem" }).toString();
const der = pair.publicKey.export({ type: "spki", format: "der" });
const base64 = der.toString("base64");
const base64url = der.toString("base64url");

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const RSA = "300d06092a864886f70d0101010500";
const RSA_WITHOUT_NULL = "300b06092a864886f70d010101";
const RSA_PSS = "300b06092a864886f70d01010a";
const F4 = Buffer.from([1, 0, 1]);

/** A DER element around its contents. */
function element(tag: number, ...contents: Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  const length = Buffer.from(body.length.toString(16).padStart(4, "0"), "hex");
  const head =
    body.length < 0x80
      ? [body.length]
      : body.length < 0x100
        ? [0x81, body.length]
        : [0x82, ...length];
  return Buffer.concat([Buffer.from([tag, ...head]), body]);
}

/** An INTEGER with the leading zero that a set top bit requires. */
function integer(magnitude: Uint8Array): Buffer {
  const zero = Buffer.alloc((magnitude[0] ?? 0) >= 0x80 ? 1 : 0);
  return element(INTEGER, zero, magnitude);
}

/** The SPKI of a key whose modulus and exponent are given as DER. */
function spki(modulus: Uint8Array, exponent: Uint8Array = integer(F4), algorithm = RSA): Buffer {
  const key = element(SEQUENCE, modulus, exponent);
  const bits = element(BIT_STRING, Buffer.alloc(1), key);
  return element(SEQUENCE, Buffer.from(algorithm, "hex"), bits);
}

/** A random odd number of exactly so many bits, indistinguishable from the modulus of a key. */
function modulusOf(bits: number): Buffer {
  const bytes = randomBytes(Math.ceil(bits / 8));
  const top = (bits - 1) % 8;
  bytes[0] = ((bytes[0] ?? 0) & (2 ** top - 1)) | (2 ** top);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 1;
  return bytes;
}

const fingerprint = (key: Uint8Array) => fingerprintOf(Buffer.from(key).toString("base64"));

/** The message of the refusal, which must not quote the input. */
function refusalOf(text: string): string {
  try {
    fingerprintOf(text);
  } catch (error) {
    assert.ok(error instanceof InvalidPublicKey, String(error));
    const compact = text.replace(/-----[A-Z0-9 ]+-----|\s/g, "");
    for (let at = 0; at + 8 <= compact.length; at++) {
      const part = compact.slice(at, at + 8);
      assert.ok(!error.message.replace(/\s/g, "").includes(part), "the message quotes the text");
    }
    return error.message;
  }
  assert.fail("the key was taken");
}

describe("the fingerprint of a key", () => {
  it("is the base64url SHA-256 of its DER", () => {
    assert.equal(fingerprintOf(pem), createHash("sha256").update(der).digest("base64url"));
    assert.match(fingerprintOf(pem), /^[A-Za-z0-9_-]{43}$/);
  });

  const spellings: [string, string][] = [
    ["PEM without a newline at its end", pem.trimEnd()],
    ["PEM with CRLF", pem.replaceAll("\n", "\r\n")],
    ["PEM with blanks around it", `\n  ${pem}\n\n`],
    ["PEM whose base64 is one line", pem.replace(/(?<=[^-])\n(?=[^-])/g, "")],
    ["base64", base64],
    ["base64 in lines of 64", base64.replace(/.{64}/g, "$&\n")],
    ["base64 in lines of 76 with CRLF", base64.replace(/.{76}/g, "$&\r\n")],
    ["base64 with a newline at its end", `${base64}\n`],
    ["base64 without padding", base64.replace(/=+$/, "")],
    ["base64url", base64url],
    ["base64url with padding", base64url.padEnd(base64.length, "=")],
  ];
  for (const [what, text] of spellings) {
    it(`is the same for ${what}`, () => {
      assert.equal(fingerprintOf(text), fingerprintOf(pem));
    });
  }

  for (const bits of [2048, 2049, 3072, 4096, 8191, 8192]) {
    it(`is made of a key of ${bits} bits`, () => {
      const key = spki(integer(modulusOf(bits)));
      assert.equal(fingerprint(key), createHash("sha256").update(key).digest("base64url"));
    });
  }

  it("accepts the exponent 3, and one of 32 bits", () => {
    const modulus = integer(modulusOf(2048));
    const [small, large] = [Buffer.from([3]), Buffer.from("ffffffff", "hex")];
    assert.notEqual(
      fingerprint(spki(modulus, integer(small))),
      fingerprint(spki(modulus, integer(large))),
    );
  });
});

describe("a key is refused", () => {
  for (const bits of [1024, 2047, 8193, 16_384]) {
    it(`with ${bits} bits, and the message says how many are needed and how many it has`, () => {
      const message = refusalOf(spki(integer(modulusOf(bits))).toString("base64"));
      assert.match(message, new RegExp(`2048 to 8192 bits.* ${bits}$`));
    });
  }

  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;
  const ed = generateKeyPairSync("ed25519").publicKey;
  const pss = spki(integer(modulusOf(2048)), integer(F4), RSA_PSS);
  const otherThings: [string, string, RegExp][] = [
    [
      "a private key",
      pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      /private key: it must never leave the device; send the public key/,
    ],
    [
      "a private key in PKCS#1",
      pair.privateKey.export({ type: "pkcs1", format: "pem" }).toString(),
      /private key: it must never leave the device/,
    ],
    [
      "a private key in base64",
      pair.privateKey.export({ type: "pkcs8", format: "der" }).toString("base64"),
      /not an RSA public key/,
    ],
    [
      "a public key in PKCS#1",
      pair.publicKey.export({ type: "pkcs1", format: "pem" }).toString(),
      /PUBLIC KEY \(SPKI\), not a RSA PUBLIC KEY/,
    ],
    ["a certificate", pem.replaceAll("PUBLIC KEY", "CERTIFICATE"), /SPKI.*not a CERTIFICATE/],
    ["an OpenSSH key", `ssh-rsa ${base64} me@home`, /OpenSSH.*ssh-keygen -e -m PKCS8/],
    ["an EC key", ec.export({ type: "spki", format: "pem" }).toString(), /not an RSA public key/],
    ["an Ed25519 key", ed.export({ type: "spki", format: "pem" }).toString(), /not an RSA/],
    ["an RSA-PSS key", pss.toString("base64"), /not an RSA public key.*rsaEncryption/],
    ["no text", "", /not PEM, base64 or base64url of an RSA public key/],
    ["blanks", " \n ", /not PEM, base64 or base64url of an RSA public key/],
    ["padding alone", "====", /not PEM, base64 or base64url of an RSA public key/],
    ["text that is not base64", "Ünïcödé, not a key!", /not PEM, base64 or base64url/],
    ["two keys in one", pem + pem, /RSA public key/],
    ["PEM that is cut off", pem.slice(0, 200), /RSA public key/],
  ];
  for (const [what, text, message] of otherThings) {
    it(`that is ${what}, with a message that helps`, () => {
      assert.match(refusalOf(text), message);
    });
  }

  it("without quoting an unknown PEM label", () => {
    const message = refusalOf("-----BEGIN HUNTER2 SECRET-----\nAAAA\n-----END HUNTER2 SECRET-----");
    assert.doesNotMatch(message, /HUNTER2/);
    assert.match(message, /PUBLIC KEY \(SPKI\)/);
  });

  const modulus = modulusOf(2048);
  const even = Buffer.from(modulus).fill((modulus[255] ?? 0) ^ 1, 255);
  const raw = (hex: string) => element(INTEGER, Buffer.from(hex, "hex"));
  const rewritten = (from: RegExp, to: string) =>
    Buffer.from(der.toString("hex").replace(from, to), "hex");
  const malformed = /^this is not the DER encoding \(SPKI\) of an RSA public key$/;
  const noSuchKey = /^no RSA key has this modulus and exponent$/;
  const wrongDer: [string, Buffer, RegExp][] = [
    ["a byte after its end", Buffer.concat([der, Buffer.alloc(1)]), malformed],
    ["bytes after the exponent", spki(integer(modulus), Buffer.concat([raw("03"), F4])), malformed],
    ["a needless zero in its length", rewritten(/^3082/, "308300"), malformed],
    [
      "a long length for a short part",
      spki(integer(modulus), Buffer.from("028103010001", "hex")),
      malformed,
    ],
    ["no length", rewritten(/^3082..../, "3080"), malformed],
    ["unused bits in its bit string", rewritten(/(0382....)00/, "$101"), malformed],
    [
      "a modulus with a needless zero",
      spki(element(INTEGER, Buffer.alloc(1), modulusOf(2055))),
      malformed,
    ],
    [
      "a modulus with two zeros in front",
      spki(element(INTEGER, Buffer.alloc(2), modulus)),
      malformed,
    ],
    ["a negative modulus", spki(element(INTEGER, modulus)), malformed],
    ["an empty modulus", spki(raw("")), malformed],
    ["a modulus that is an OCTET STRING", spki(element(0x04, Buffer.alloc(1), modulus)), malformed],
    ["an exponent with a needless zero", spki(integer(modulus), raw("00010001")), malformed],
    ["a negative exponent", spki(integer(modulus), raw("810001")), malformed],
    ["an empty exponent", spki(integer(modulus), raw("")), malformed],
    ["no exponent", spki(integer(modulus), Buffer.alloc(0)), malformed],
    [
      "no NULL parameters",
      spki(integer(modulus), raw("010001"), RSA_WITHOUT_NULL),
      /\(rsaEncryption\)$/,
    ],
    ["the exponent 1", spki(integer(modulus), raw("01")), noSuchKey],
    ["an even exponent", spki(integer(modulus), raw("010000")), noSuchKey],
    ["an exponent of 33 bits", spki(integer(modulus), raw("0100000001")), noSuchKey],
    ["an even modulus", spki(integer(even)), noSuchKey],
  ];
  for (const [what, wrong, message] of wrongDer) {
    it(`with ${what}`, () => {
      assert.match(refusalOf(wrong.toString("base64")), message);
    });
  }

  it("when it is cut off at any byte", () => {
    for (let length = 0; length < der.length; length++) {
      assert.match(refusalOf(der.subarray(0, length).toString("base64")), /RSA public key/);
    }
  });

  it("or is that of another user, when any one byte is changed", () => {
    const change = fc.tuple(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }));
    fc.assert(
      fc.property(change, ([at, flip]) => {
        const changed = Buffer.from(der);
        changed[at] = (changed[at] ?? 0) ^ flip;
        try {
          assert.notEqual(fingerprint(changed), fingerprint(der));
        } catch (error) {
          if (!(error instanceof InvalidPublicKey)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("the cache of public keys", () => {
  it("parses each spelling once, and gives one user for all of them", () => {
    const identities = new PublicKeyCache();
    const spellings = [pem, base64, base64url, ` ${base64}\n`];
    const keys = spellings.map((text) => identities.keyOf(text));
    for (const [i, text] of spellings.entries()) {
      assert.equal(identities.keyOf(text), keys[i], "it was read again");
      assert.equal(keys[i]?.fingerprint, fingerprintOf(pem));
    }
  });

  it("stays within its memory, and keeps the keys used last", () => {
    const identities = new PublicKeyCache();
    const [first, used] = [identities.keyOf(pem), identities.keyOf(base64)];
    // Nine million characters: one key in ever different spellings.
    for (let i = 0; i < 1200; i++) {
      identities.keyOf(base64.padEnd(8192 - i));
      assert.equal(identities.keyOf(base64), used);
    }
    assert.notEqual(identities.keyOf(pem), first, "it is still in memory");
  });

  it("keeps no key that is refused", () => {
    const identities = new PublicKeyCache();
    for (let i = 0; i < 2; i++) assert.throws(() => identities.keyOf("AAAA"), InvalidPublicKey);
  });
});
