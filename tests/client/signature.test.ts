/** The client's signed requests, checked by other means than its own: RFC 9421 by hand. */
import assert from "node:assert/strict";
import { constants, createHash, createPublicKey, verify } from "node:crypto";
import { before, describe, it } from "node:test";
import { type Identity, SyncClient } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { type Signable, signatureHeaders, signedValues } from "../../client/signature.ts";
import { utf8 } from "../../protocol/bytes.ts";
import { signatureBase } from "../../protocol/signature.ts";
import { newIdentity } from "../support/private-keys.ts";
import { answer } from "../support/sync-app.ts";

let identity: Identity;
before(async () => {
  identity = await newIdentity();
});

describe("a signed request", () => {
  it("has the signature base of RFC 9421, section 2.5", () => {
    const request = {
      method: "POST",
      url: new URL("https://Sync.Example:443/sync?x=1"),
      contentType: "application/json",
      body: utf8("{}"),
      created: 1_800_000_000,
    };
    const { base, parameters } = baseOf("FINGERPRINT", request, "sha-256=:abc=:");
    const expected = [
      '"@method": POST',
      '"@authority": sync.example',
      '"@path": /sync',
      '"content-type": application/json',
      '"content-digest": sha-256=:abc=:',
      `"@signature-params": ${parameters}`,
    ];
    assert.equal(base, expected.join("\n"));
    assert.equal(
      parameters,
      '("@method" "@authority" "@path" "content-type" "content-digest");created=1800000000;keyid="FINGERPRINT";alg="rsa-pss-sha512"',
    );
    const local = { ...request, url: new URL("http://localhost:8080/base/sync") };
    assert.match(
      baseOf("F", local, "d").base,
      /"@authority": localhost:8080\n"@path": \/base\/sync\n/,
    );
  });

  it("has an rsa-pss-sha512 signature of that base, with a digest of its body", async () => {
    const request = {
      method: "DELETE",
      url: new URL("http://localhost:8080/sync"),
      contentType: "application/json",
      body: utf8('{"user":"…"}'),
      created: 1_800_000_000,
    };
    const headers = await signatureHeaders(identity, request);
    const digest = createHash("sha256").update(request.body).digest("base64");
    assert.equal(headers["Content-Digest"], `sha-256=:${digest}:`);
    const { base, parameters } = baseOf(identity.fingerprint, request, headers["Content-Digest"]);
    assert.equal(headers["Signature-Input"], `sig=${parameters}`);
    const signature = /^sig=:([A-Za-z0-9+/]+=*):$/.exec(headers.Signature)?.[1] ?? "";
    assert.ok(isSigned(base, signature));
    assert.equal(isSigned(`${base} `, signature), false);
  });

  it("is what a client sends unless signing is off; a request to erase is always signed", async () => {
    for (const sign of [true, false]) {
      const requests: Request[] = [];
      const client = await SyncClient.open({
        url: "http://localhost:8080/base",
        identity,
        store: new MemoryStore(),
        receive: () => undefined,
        sign,
        fetch: async (request) => {
          requests.push(request);
          if (request.method === "DELETE") return new Response(null, { status: 204 });
          return answer([]);
        },
      });
      await client.sync();
      await client.erase();
      const [first, last] = [requests[0], requests.at(-1)];
      assert.ok(first && last);
      assert.equal(first.url, "http://localhost:8080/base/sync");
      assert.equal(first.headers.has("signature"), sign);
      assert.equal(last.method, "DELETE");
      assert.equal(last.headers.has("signature"), true);
      assert.deepEqual(JSON.parse(await last.text()), { user: identity.publicKey });
      assert.ok(first.headers.get("content-type")?.startsWith("application/json"));
    }
  });

  it("names the beginning of the user's fingerprint, signed or not, so that a proxy can route by it", async () => {
    for (const sign of [true, false]) {
      const routes: (string | null)[] = [];
      const client = await SyncClient.open({
        url: "http://localhost:8080",
        identity,
        store: new MemoryStore(),
        receive: () => undefined,
        sign,
        fetch: async ({ method, headers }) => {
          routes.push(headers.get("sync-route"));
          return method === "DELETE" ? new Response(null, { status: 204 }) : answer([]);
        },
      });
      await client.sync();
      await client.erase();
      const route = identity.fingerprint.slice(0, 8);
      assert.deepEqual(
        routes,
        routes.map(() => route),
      );
      assert.ok(routes.length >= 2);
    }
  });
});

function baseOf(fingerprint: string, request: Signable, digest: string) {
  return signatureBase(fingerprint, request.created, signedValues(request, digest));
}

function isSigned(base: string, signature: string): boolean {
  const key = createPublicKey({
    key: Buffer.from(identity.publicKey, "base64"),
    format: "der",
    type: "spki",
  });
  return verify(
    "sha512",
    Buffer.from(base),
    { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 },
    Buffer.from(signature, "base64"),
  );
}
