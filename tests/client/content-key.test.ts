/** The key of a session, beside what Web Crypto makes of the same secret. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ContentKey } from "../../client/content-key.ts";
import { randomBytes, utf8 } from "../../protocol/bytes.ts";

// One below, at, and above the length up to which another cipher may do it; and far above.
const LENGTHS = [0, 1, 200, 4079, 4080, 4095, 4096, 4097, 100_000];

const [secret, iv, additionalData] = [randomBytes(32), randomBytes(12), randomBytes(75)];
const info = utf8("what the key is for");
const key = await ContentKey.derive(secret, info);
const hkdf = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info };
const base = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
const aes = { name: "AES-GCM", length: 256 };
const reference = await crypto.subtle.deriveKey(hkdf, base, aes, false, ["encrypt"]);
const algorithm = { name: "AES-GCM", iv, additionalData };

describe("a content key", () => {
  for (const length of LENGTHS) {
    const content = randomBytes(Math.min(length, 65_536));
    const bytes = new Uint8Array(length);
    bytes.set(content);

    it(`encrypts ${length} bytes as AES-256-GCM does, under the key that HKDF derives`, async () => {
      const ciphertext = await key.encrypt(iv, additionalData, bytes);
      const expected = await crypto.subtle.encrypt(algorithm, reference, bytes);
      assert.deepEqual(ciphertext, new Uint8Array(expected));
    });

    it(`decrypts ${length} bytes, into an array of their own`, async () => {
      const ciphertext = await key.encrypt(iv, additionalData, bytes);
      const decrypted = await key.decrypt(iv, additionalData, ciphertext);
      assert.equal(decrypted.constructor, Uint8Array);
      assert.deepEqual(decrypted, bytes);
    });

    it(`refuses ${length} bytes with anything altered, as Web Crypto does`, async () => {
      const ciphertext = await key.encrypt(iv, additionalData, bytes);
      const altered = (bytes: Uint8Array<ArrayBuffer>, at: number) => {
        const copy = bytes.slice();
        copy[at] = (copy[at] ?? 0) ^ 1;
        return copy;
      };
      const isDenied = { name: "OperationError", constructor: DOMException };
      for (const at of new Set([0, ciphertext.length - 16, ciphertext.length - 1])) {
        await assert.rejects(key.decrypt(iv, additionalData, altered(ciphertext, at)), isDenied);
      }
      const wrong = key.decrypt(iv, altered(additionalData, 74), ciphertext);
      await assert.rejects(wrong, isDenied);
      await assert.rejects(key.decrypt(altered(iv, 0), additionalData, ciphertext), isDenied);
    });
  }
});
