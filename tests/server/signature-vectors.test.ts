/** The examples of RFC 9421, appendix B, and of RFC 9530, which they use. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { verifySignature } from "http-message-sig";
import { digestFault } from "../../server/http/content-digest.ts";
import { type PublicKey, readPublicKey } from "../../sync/public-key.ts";
import { SignatureVerifier } from "../../sync/signature-verifier.ts";

/** `test-key-rsa-pss`, B.1.2. */
const MODULUS =
  "r4tmm3r20Wd_PbqvP1s2-QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct-Lh1GH45x28Rw3Ry53mm-oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHqgDsznjPFmTOtCEcN2Z1FpWgchwuYLPL-Wokqltd11nqqzi-bJ9cvSKADYdUAAN5WUtzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4aOT9v6d-nb4bnNkQVklLQ3fVAvJm-xdDOp9LCNCN48V2pnDOkFV6-U9nV5oyc6XI2w";

/** `test-request`, B.2. */
const BODY = '{"hello": "world"}';
const DIGEST =
  "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
const REQUEST = {
  kind: "request",
  method: "POST",
  targetUri: "https://example.com/foo?param=Value&Pet=dog",
  fields: [
    { name: "Host", value: "example.com" },
    { name: "Date", value: "Tue, 20 Apr 2021 02:07:55 GMT" },
    { name: "Content-Type", value: "application/json" },
    { name: "Content-Digest", value: DIGEST },
    { name: "Content-Length", value: "18" },
  ],
} as const;

interface Vector {
  readonly name: string;
  readonly input: string;
  /** All but the last line of the signature base. */
  readonly lines: readonly string[];
  readonly signature: string;
}

const minimal: Vector = {
  name: "B.2.1, minimal",
  input: '();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"',
  lines: [],
  signature:
    "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==",
};
const selective: Vector = {
  name: "B.2.2, selective",
  input:
    '("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example"',
  lines: [
    '"@authority": example.com',
    `"content-digest": ${DIGEST}`,
    '"@query-param";name="Pet": dog',
  ],
  signature:
    "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==",
};
const full: Vector = {
  name: "B.2.3, full coverage",
  input:
    '("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss"',
  lines: [
    '"date": Tue, 20 Apr 2021 02:07:55 GMT',
    '"@method": POST',
    '"@path": /foo',
    '"@query": ?param=Value&Pet=dog',
    '"@authority": example.com',
    '"content-type": application/json',
    `"content-digest": ${DIGEST}`,
    '"content-length": 18',
  ],
  signature:
    "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==",
};

async function rfcKey(): Promise<PublicKey> {
  const { subtle } = globalThis.crypto;
  const algorithm = { name: "RSA-PSS", hash: "SHA-512" };
  const jwk = { kty: "RSA", n: MODULUS, e: "AQAB" };
  const key = await subtle.importKey("jwk", jwk, algorithm, true, ["verify"]);
  return readPublicKey(Buffer.from(await subtle.exportKey("spki", key)).toString("base64"));
}

function bytes(text: string, encoding: BufferEncoding = "utf8"): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(text, encoding));
}

describe("the examples of RFC 9421", () => {
  for (const { name, input, lines, signature } of [minimal, selective, full]) {
    it(`${name}: the signature is that of the key over the signature base, and over no other`, async () => {
      const [keys, key] = [new SignatureVerifier(), await rfcKey()];
      const base = [...lines, `"@signature-params": ${input}`].join("\n");
      const made = bytes(signature, "base64");
      assert.equal(await keys.verify(key, bytes(base), made), true);
      assert.equal(await keys.verify(key, bytes(`${base} `), made), false);
      made[made.length - 1] = (made.at(-1) ?? 0) ^ 1;
      assert.equal(await keys.verify(key, bytes(base), made), false);
    });
  }

  it("B.2.3: the message that the RFC signs is verified as a message", async () => {
    const [keys, key] = [new SignatureVerifier(), await rfcKey()];
    const message = (changed: string) => ({
      ...REQUEST,
      targetUri: `https://example.com/foo${changed}`,
      fields: [
        ...REQUEST.fields,
        { name: "Signature-Input", value: `sig-b23=${full.input}` },
        { name: "Signature", value: `sig-b23=:${full.signature}:` },
      ],
    });
    const options = {
      policy: {
        algorithms: ["rsa-pss-sha512"],
        requiredComponents: ["@method", "@authority", "@path", "content-digest"],
        requiredParameters: ["created", "keyid"],
        now: 1618884473,
      },
      resolveVerifier: () => ({
        algorithm: "rsa-pss-sha512",
        verify: (data: Uint8Array, signature: Uint8Array) =>
          keys.verify(key, Uint8Array.from(data), Uint8Array.from(signature)),
      }),
    };
    const { label } = await verifySignature(message("?param=Value&Pet=dog"), options);
    assert.equal(label, "sig-b23");
    await assert.rejects(verifySignature(message("?param=Value&Pet=cat"), options), {
      code: "VerificationFailed",
    });
  });
});

describe("the digests of RFC 9530", () => {
  it("match their body, in both algorithms", () => {
    assert.equal(digestFault(DIGEST, bytes(BODY)), undefined);
    const sha256 = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
    assert.equal(digestFault(sha256, bytes(BODY)), undefined);
    assert.equal(digestFault(`${sha256}, ${DIGEST}`, bytes(BODY)), undefined);
  });

  it("do not match any other body", () => {
    assert.match(
      digestFault(DIGEST, bytes(`${BODY} `)) ?? "",
      /sha-512 of Content-Digest is not that of the body/,
    );
    assert.match(
      digestFault(DIGEST, bytes("")) ?? "",
      /sha-512 of Content-Digest is not that of the body/,
    );
  });
});
