/** Base64, base64url and UUIDs: strict, and the same on every runtime. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decode, encode, fromBase64url, toBase64, toBase64url } from "../../protocol/base64.ts";
import { uuidBytes, uuidOf } from "../../protocol/bytes.ts";

/** Digits, padding, white space, both alphabets and characters that only look like digits. */
const unit = fc.constantFrom(..."AQgwZz09x_-+/= \t\n\r\f\v\u00a0\u0141\uff21\ud800");
const text = fc.oneof(
  fc.string({ unit, maxLength: 12 }),
  fc.string({ unit: fc.constantFrom(..."ABQgwx_-09"), maxLength: 100 }),
);

/** The definition: a text is the encoding of bytes exactly if encoding them returns the text. */
function defined(spelling: string): Uint8Array | undefined {
  const bytes = Uint8Array.from(Buffer.from(spelling, "base64url"));
  return Buffer.from(bytes).toString("base64url") === spelling ? bytes : undefined;
}

const withoutHelp = (bytes: Uint8Array) =>
  Buffer.from(encode(bytes), "base64").toString("base64url");

describe("base64url", () => {
  const coders = [
    { name: "of the runtime", to: toBase64url, from: fromBase64url },
    { name: "without the runtime's help", to: withoutHelp, from: decode },
  ];
  for (const { name, to, from } of coders) {
    it(`${name} encodes any bytes and decodes them again`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
          assert.equal(to(bytes), Buffer.from(bytes).toString("base64url"));
          assert.deepEqual(from(to(bytes)), Uint8Array.from(bytes));
        }),
      );
    });

    it(`${name} decodes what encoding returns, and no other text`, () => {
      fc.assert(
        fc.property(text, (spelling) => assert.deepEqual(from(spelling), defined(spelling))),
        { numRuns: 2000 },
      );
      const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
      for (const last of digits) {
        for (const start of ["", "A", "AA", "AAA", "AAAA"]) {
          assert.deepEqual(from(start + last), defined(start + last), start + last);
        }
      }
    });

    it(`${name} refuses padding, white space, the other alphabet and unused bits`, () => {
      const refused = [
        "A",
        "AB",
        "AAB",
        "AA==",
        "AAA=",
        "AAAA=",
        "AA AA",
        " AAAA",
        "AAAA\n",
        "+/+/",
      ];
      for (const spelling of refused) assert.equal(from(spelling), undefined, spelling);
    });

    it(`${name} refuses a character that is no digit, wherever it stands`, () => {
      // Beyond the first 256 are some of which the low byte is a digit.
      for (let code = 0; code < 0x300; code++) {
        const character = String.fromCharCode(code);
        if (/[\w-]/.test(character)) continue;
        for (let at = 0; at < 8; at++) {
          const spelling = `${"A".repeat(at)}${character}${"A".repeat(7 - at)}`;
          assert.equal(from(spelling), undefined, spelling);
        }
      }
    });

    it(`${name} decodes into a buffer that holds nothing else`, () => {
      const bytes = from("AAECAw");
      assert.equal(bytes?.byteOffset, 0);
      assert.equal(bytes?.buffer.byteLength, 4);
    });
  }
});

describe("base64", () => {
  for (const to of [toBase64, encode]) {
    it(`has padding (${to.name})`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
          assert.equal(to(bytes), Buffer.from(bytes).toString("base64"));
        }),
      );
      const long = new Uint8Array(20_000).map((_, i) => i * i);
      assert.equal(to(long), Buffer.from(long).toString("base64"));
    });
  }
});

describe("a UUID", () => {
  it("is the same after a way through its bytes", () => {
    fc.assert(fc.property(fc.uuid(), (uuid) => assert.equal(uuidOf(uuidBytes(uuid)), uuid)));
  });
});
