/**
 * The signed requests in tests/vectors: checked with `node:crypto` alone, made again by the client's
 * code, and sent to the server.
 */
import assert from "node:assert/strict";
import { constants, createHash, createPrivateKey, createPublicKey, verify } from "node:crypto";
import { describe, it } from "node:test";
import { signedValues } from "../../client/signature.ts";
import { utf8 } from "../../protocol/bytes.ts";
import { signatureBase } from "../../protocol/signature.ts";
import {
  inProcessServer,
  newSigningUser,
  SERVER,
  signedHeaders,
  syncBody,
} from "../support/signing.ts";
import vectors from "../vectors/signed-requests.json" with { type: "json" };

const key = createPublicKey(
  createPrivateKey({
    key: Buffer.from(vectors.private_key_pkcs8, "base64url"),
    format: "der",
    type: "pkcs8",
  }),
);

describe("the vectors of signed requests", () => {
  it("name the fingerprint of their key", () => {
    const spki = key.export({ type: "spki", format: "der" });
    assert.equal(spki.toString("base64"), vectors.public_key);
    assert.equal(createHash("sha256").update(spki).digest("base64url"), vectors.fingerprint);
  });

  for (const { name, method, url, created, headers, body, signature_base } of vectors.requests) {
    it(`${name}: digest and signature are right for anyone with RSA and SHA`, () => {
      const digest = createHash("sha256").update(body).digest("base64");
      assert.equal(headers["Content-Digest"], `sha-256=:${digest}:`);
      const parameters = headers["Signature-Input"].slice("sig=".length);
      assert.ok(signature_base.endsWith(`\n"@signature-params": ${parameters}`));
      const signature = Buffer.from(headers.Signature.slice("sig=:".length, -1), "base64");
      const pss = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 };
      assert.ok(verify("sha512", Buffer.from(signature_base), pss, signature));
    });

    it(`${name}: the client signs the same base`, () => {
      const contentType = headers["Content-Type"];
      const request = { method, url: new URL(url), contentType, body: utf8(body), created };
      const values = signedValues(request, headers["Content-Digest"]);
      assert.equal(signatureBase(vectors.fingerprint, created, values).base, signature_base);
    });

    it(`${name}: the server accepts it, and no other method`, async () => {
      const publicUrl = new URL(url).href.slice(0, -"/sync".length);
      const server = inProcessServer({ PUBLIC_URL: publicUrl }, undefined, {
        time: () => created * 1000,
      });
      const other = method === "POST" ? "DELETE" : "POST";
      assert.ok((await server.send(body, headers, other)).status >= 400);
      const answer = await server.send(body, headers, method);
      assert.equal(answer.status, method === "DELETE" ? 204 : 200, answer.text);
    });
  }
});

describe("the byte sequences of a signed request", () => {
  it("are accepted with and without padding, and refused in base64url", async () => {
    const user = await newSigningUser();
    const server = inProcessServer();
    const body = syncBody(user);
    const headers = await signedHeaders(user, { url: SERVER, body });
    const signature = headers.Signature ?? "";
    assert.match(signature, /==:$/);
    const status = async (Signature: string) =>
      (await server.send(body, { ...headers, Signature })).status;
    assert.equal(await status(signature), 200);
    assert.equal(await status(signature.replace("==:", ":")), 200);
    assert.equal(await status(`${signature.slice(0, 5)}-_${signature.slice(7)}`), 401);
  });
});
