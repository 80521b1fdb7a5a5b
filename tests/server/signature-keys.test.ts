/** Keys of every size and exponent that PROTOCOL.md allows sign requests. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KEYS_CLIENT, KEYS_CREATED, OPENSSL_KEYS } from "../support/openssl-keys.ts";
import { atNow, flipped, NOW, signatureOf } from "../support/signed-requests.ts";
import { SERVER, signedHeaders, signingUser, syncBody } from "../support/signing.ts";

describe("the key of a signed request", () => {
  /** Sends a signed request, and then again with invalid signatures. */
  async function checkKey(bits: number, body: string, headers: Record<string, string>) {
    const server = atNow();
    const answer = await server.send(body, headers);
    assert.equal(answer.status, 200, answer.text);
    const bytes = Math.ceil(bits / 8);
    const wrong = [
      flipped(headers.Signature ?? ""),
      signatureOf(Buffer.alloc(bytes, 0xff)),
      signatureOf(Buffer.alloc(bytes)),
      signatureOf(Buffer.alloc(bytes, 1)),
      signatureOf(Buffer.alloc(bytes - 1, 1)),
      signatureOf(Buffer.alloc(bytes + 1, 1)),
    ];
    for (const signature of wrong) {
      const { status, problem } = await server.send(body, { ...headers, Signature: signature });
      assert.deepEqual([status, problem.check], [401, "signature"]);
    }
  }

  for (const { bits, exponent, spki, signature } of OPENSSL_KEYS) {
    it(`may have ${bits} bits and the exponent ${exponent}`, async () => {
      const made = Buffer.from(signature, "base64");
      const signer = signingUser(Buffer.from(spki, "base64"), async () => made);
      const body = syncBody(signer, { client_id: KEYS_CLIENT });
      const deviations = { created: KEYS_CREATED };
      const headers = await signedHeaders(signer, { url: SERVER, body }, deviations);
      assert.equal(KEYS_CREATED, NOW);
      await checkKey(bits, body, headers);
    });
  }
});
