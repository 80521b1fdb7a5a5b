/** The test vectors of a pairing, checked twice: by the client, and by what ENVELOPE.md says alone. */
import assert from "node:assert/strict";
import {
  createDecipheriv,
  createECDH,
  createHash,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
} from "node:crypto";
import { describe, it } from "node:test";
import { Agreement, isPromised, type KeyPair } from "../../client/pairing/agreement.ts";
import { contentOfLink, linkOf } from "../../client/pairing/link.ts";
import { givenBytes, givenIn, messageOf, revealedIn } from "../../client/pairing/message.ts";
import { oneTimeIdentity } from "../../client/pairing/request.ts";
import { fromBase64url, toBase64url } from "../../protocol/base64.ts";
import type { Bytes } from "../../protocol/bytes.ts";
import vectors from "../vectors/pairing.json" with { type: "json" };

const { messages, given } = vectors;
const bytes = (text: string): Bytes => fromBase64url(text) ?? assert.fail("not base64url");
const buffer = (text: string) => Buffer.from(text, "base64url");
const body = (kind: keyof typeof messages): Bytes => {
  const message = messageOf(bytes(messages[kind]));
  assert.equal(message?.kind, kind);
  return message?.body ?? assert.fail();
};
const sha256 = (...parts: readonly (string | Buffer)[]) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** The key pair of a device of the vectors. */
async function keyPairOf(device: typeof vectors.old | typeof vectors.new): Promise<KeyPair> {
  const algorithm = { name: "ECDH", namedCurve: "P-256" };
  const { key_pair: jwk, point } = device;
  const privateKey = await crypto.subtle.importKey("jwk", jwk, algorithm, false, ["deriveBits"]);
  return { privateKey, point: bytes(point) };
}

describe("the vectors of a pairing", () => {
  it("match what the client computes, on either device", async () => {
    const { server, commitment, primes } = contentOfLink(vectors.link);
    assert.equal(server.href, vectors.server);
    assert.equal(toBase64url(commitment), vectors.commitment);
    assert.equal(linkOf(server, { commitment, primes }), vectors.link);
    const identity = await oneTimeIdentity(primes);
    assert.equal(identity.fingerprint, vectors.one_time_key.fingerprint);
    const revealed = revealedIn(body("reveal"));
    const said = { identity, commitment, revealed, answer: body("answer") };
    assert.ok(await isPromised(said));
    assert.equal(toBase64url(revealed.point), vectors.old.point);
    assert.equal(toBase64url(revealed.random), vectors.old.random);
    assert.equal(toBase64url(said.answer), vectors.new.point);
    const agreements = [
      await Agreement.of(await keyPairOf(vectors.old), said.answer, said),
      await Agreement.of(await keyPairOf(vectors.new), revealed.point, said),
    ];
    for (const agreement of agreements) {
      assert.equal(await agreement.code(), vectors.code);
      const content = await agreement.open("key", body("key"));
      assert.equal(toBase64url(content), given.content);
      assert.deepEqual([...(await agreement.open("taken", body("taken")))], []);
    }
    const { key, heads } = givenIn(bytes(given.content));
    assert.equal(key.form, "primes");
    assert.deepEqual(
      heads.map(({ client, index, tag }) => ({ client_id: client, operation_index: index, tag })),
      given.heads,
    );
    assert.equal(toBase64url(givenBytes({ key, heads })), given.content);
  });

  it("match the formulas of ENVELOPE.md", () => {
    const { one_time_key, old, code, transcript } = vectors;
    const [p, q] = [
      buffer(one_time_key.primes).subarray(0, 128),
      buffer(one_time_key.primes).subarray(128),
    ];
    const n = BigInt(`0x${p.toString("hex")}`) * BigInt(`0x${q.toString("hex")}`);
    const jwk = {
      kty: "RSA",
      n: Buffer.from(n.toString(16), "hex").toString("base64url"),
      e: "AQAB",
    };
    const spki = createPublicKey({ key: jwk, format: "jwk" }).export({
      type: "spki",
      format: "der",
    });
    const fingerprint = sha256(spki);
    assert.equal(fingerprint.toString("base64url"), one_time_key.fingerprint);

    const [, hash = ""] = vectors.link.split("#pair=");
    assert.deepEqual(
      buffer(hash),
      Buffer.concat([Buffer.of(1), buffer(vectors.commitment), buffer(one_time_key.primes)]),
    );
    const random = buffer(old.random);
    const point = buffer(old.point);
    const promised = sha256("sync-server pairing 1 commitment\n", fingerprint, point, random);
    assert.deepEqual(promised.subarray(0, 16), buffer(vectors.commitment));

    const answer = buffer(vectors.new.point);
    assert.deepEqual(buffer(messages.answer), Buffer.concat([Buffer.of(1), answer]));
    assert.deepEqual(buffer(messages.reveal), Buffer.concat([Buffer.of(2), point, random]));
    const context = "sync-server pairing 1 transcript\n";
    const salt = sha256(context, fingerprint, buffer(vectors.commitment), point, random, answer);
    assert.equal(salt.toString("base64url"), transcript);

    const ecdh = createECDH("prime256v1");
    ecdh.setPrivateKey(buffer(old.key_pair.d));
    const secret = ecdh.computeSecret(answer);
    const derived = (use: string, length: number) =>
      Buffer.from(hkdfSync("sha256", secret, salt, `sync-server pairing 1 ${use}\n`, length));
    const number = derived("code", 8).readBigUInt64BE() % 1_000_000n;
    assert.equal(number.toString().padStart(6, "0"), code);
    const open = (use: "key" | "taken") => {
      const sealed = buffer(messages[use]).subarray(1);
      const decipher = createDecipheriv("aes-256-gcm", derived(use, 32), sealed.subarray(0, 12));
      decipher.setAuthTag(sealed.subarray(-16));
      return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
    };
    assert.deepEqual(open("taken"), Buffer.alloc(0));
    const content = open("key");
    // Heads, and one entry: two of 40 bytes, and primes of 128 bytes each behind their version.
    assert.deepEqual([content[0], content[1]], [2, 2]);
    const entry = content.subarray(2 + 2 * 40);
    assert.deepEqual([...entry.subarray(0, 3)], [(257 & 127) | 128, 257 >> 7, 2]);
    const key = createPrivateKey({
      key: buffer(given.private_key_pkcs8),
      format: "der",
      type: "pkcs8",
    }).export({ format: "jwk" });
    const primes = Buffer.concat([buffer(key.p ?? ""), buffer(key.q ?? "")]);
    assert.deepEqual(entry.subarray(3), primes);
  });
});
