/** The envelope: its test vectors, its layout, and every way to alter it. */
import assert from "node:assert/strict";
import {
  constants,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  privateDecrypt,
  verify,
} from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import fc from "fast-check";
import { decrypt, isGenuine, parseEnvelope, unwrapContentKey } from "../../client/envelope.ts";
import { identityOf } from "../../client/identity/identity.ts";
import { importIdentity } from "../../client/identity.ts";
import type { Identity } from "../../client/index.ts";
import type { RefusalKind } from "../../client/types.ts";
import { RunVerifier } from "../../client/verify.ts";
import { fromBase64url, toBase64url } from "../../protocol/base64.ts";
import { concat, equal, textOf } from "../../protocol/bytes.ts";
import type { Line } from "../../protocol/types.ts";
import { newIdentity } from "../support/private-keys.ts";
import { projectFolder } from "../support/process.ts";
import { sealed } from "../support/sealed.ts";
import { share, sharedPositions } from "../support/share.ts";
import { newClient } from "../support/users.ts";
import vectors from "../vectors/envelope.json" with { type: "json" };

const bytes = (text: string) => fromBase64url(text) ?? assert.fail("not base64url");

describe("the test vectors of the envelope", () => {
  it("decrypt to the original data", async () => {
    const identity = await identityOf(bytes(vectors.private_key_pkcs8));
    assert.equal(identity.fingerprint, vectors.fingerprint);
    assert.equal(identity.publicKey, vectors.public_key);
    const lines = vectors.operations.map(
      ({ client_id: client, operation_index: index, payload }): Line => ({
        client,
        index,
        payload,
      }),
    );
    const client = lines[0]?.client ?? "";
    const { operations, cursor, refusal } = await new RunVerifier(identity).verify(
      client,
      lines,
      undefined,
    );
    assert.equal(refusal, undefined);
    assert.deepEqual(
      operations.map(({ data }) => toBase64url(data)),
      vectors.operations.map(({ data }) => data),
    );
    const last = vectors.operations.at(-1);
    assert.deepEqual(cursor, {
      client,
      index: last?.operation_index,
      hash: last?.payload_sha256,
    });
  });

  // Without the client's code: ENVELOPE.md is enough to write another client.
  it("can be decrypted by the layout in ENVELOPE.md alone", () => {
    const key = createPrivateKey({
      key: Buffer.from(vectors.private_key_pkcs8, "base64url"),
      format: "der",
      type: "pkcs8",
    });
    const spki = createPublicKey(key).export({ type: "spki", format: "der" });
    const fingerprint = createHash("sha256").update(spki).digest();
    assert.equal(fingerprint.toString("base64url"), vectors.fingerprint);
    for (const operation of vectors.operations) {
      const payload = Buffer.from(operation.payload, "base64url");
      const [wrappedEnd, signatureAt] = [89 + 256, payload.length - 256];
      const index = Buffer.alloc(8);
      index.writeBigUInt64BE(BigInt(operation.operation_index));
      const head = Buffer.concat([
        Buffer.from([1]),
        fingerprint,
        Buffer.from(operation.client_id.replaceAll("-", ""), "hex"),
        index,
        Buffer.from(operation.previous, "base64url"),
      ]);
      assert.equal(head.length, 89);
      assert.deepEqual(payload.subarray(0, 89), head);
      const associated = payload.subarray(0, wrappedEnd + 12);
      assert.equal(associated.toString("base64url"), operation.associated_data);
      const nonce = payload.subarray(wrappedEnd, wrappedEnd + 12);
      assert.equal(nonce.toString("base64url"), operation.nonce);
      const contentKey = privateDecrypt(
        {
          key,
          padding: constants.RSA_PKCS1_OAEP_PADDING,
          oaepHash: "sha256",
          oaepLabel: Buffer.from("sync-server envelope 1 content key"),
        },
        payload.subarray(89, wrappedEnd),
      );
      assert.equal(contentKey.toString("base64url"), operation.content_key);
      const ciphertext = payload.subarray(wrappedEnd + 12, signatureAt);
      assert.equal(ciphertext.toString("base64url"), operation.ciphertext);
      const decipher = createDecipheriv("aes-256-gcm", contentKey, nonce);
      decipher.setAAD(associated);
      decipher.setAuthTag(ciphertext.subarray(-16));
      const data = Buffer.concat([decipher.update(ciphertext.subarray(0, -16)), decipher.final()]);
      assert.equal(data.toString("base64url"), operation.data);
      const signed = Buffer.concat([
        Buffer.from("sync-server envelope 1 signature\n"),
        associated,
        createHash("sha256").update(ciphertext).digest(),
      ]);
      const pss = { key: createPublicKey(key), padding: constants.RSA_PKCS1_PSS_PADDING };
      assert.ok(
        verify("sha256", signed, { ...pss, saltLength: 32 }, payload.subarray(signatureAt)),
      );
      const hash = createHash("sha256").update(payload).digest("base64url");
      assert.equal(hash, operation.payload_sha256);
    }
  });

  it("appear unchanged in ENVELOPE.md", () => {
    const document = readFileSync(join(projectFolder, "ENVELOPE.md"), "utf8");
    const [first] = vectors.operations;
    assert.ok(first);
    const { content_key, nonce, data, ciphertext, payload_sha256 } = first;
    for (const value of [
      vectors.fingerprint,
      content_key,
      nonce,
      data,
      ciphertext,
      payload_sha256,
    ]) {
      assert.ok(document.includes(`| \`${value}\``), value);
    }
  });

  it("have a key text that the passphrase decrypts", async () => {
    const { text, passphrase } = vectors.key_text;
    assert.equal((await importIdentity(text, passphrase)).fingerprint, vectors.fingerprint);
  });
});

describe("an envelope", () => {
  const client = newClient();
  let identity: Identity;
  let lines: Line[];
  before(async () => {
    identity = await newIdentity();
    lines = await sealed(identity, client, ["zero", "one", "two", "three"]);
  });
  const open = (run: readonly Line[], name = client) =>
    new RunVerifier(identity).verify(name, run, undefined);

  it("decrypts in its place", async () => {
    const { operations, refusal } = await open(lines);
    assert.deepEqual(
      operations.map(({ index, data }) => [index, textOf(data)]),
      [
        [0, "zero"],
        [1, "one"],
        [2, "two"],
        [3, "three"],
      ],
    );
    assert.equal(refusal, undefined);
  });

  it("holds any data, of any length", async () => {
    const property = fc.asyncProperty(
      fc.array(fc.string({ unit: "binary", maxLength: 200 }), { minLength: 1, maxLength: 4 }),
      async (texts) => {
        const { operations } = await open(await sealed(identity, client, texts));
        assert.deepEqual(
          operations.map(({ data }) => textOf(data)),
          texts,
        );
      },
    );
    await fc.assert(property, { numRuns: share(20) });
  });

  it("T-16 is refused when any of its bytes is altered, alone or within a run", async () => {
    const payload = bytes(lines[1]?.payload ?? "");
    for (const at of sharedPositions(payload.length)) {
      const altered = payload.slice();
      altered[at] = (altered[at] ?? 0) ^ (1 << (at % 8));
      const line: Line = { client, index: 1, payload: toBase64url(altered) };
      const run = lines.with(1, line);
      const { operations, refusal } = await open(run);
      assert.equal(operations.length, 1, `byte ${at}`);
      assert.deepEqual(refusal, { kind: "forged", client, index: 1 }, `byte ${at}`);
    }
  });

  it("has a signature and associated data that each detect any altered byte", async () => {
    const good = parseEnvelope(identity, lines[1]?.payload ?? "") ?? assert.fail();
    const key = await unwrapContentKey(identity, good.wrapped);
    for (const at of sharedPositions(good.bytes.length)) {
      const altered = good.bytes.slice();
      altered[at] = (altered[at] ?? 0) ^ (1 << (at % 8));
      const part = (of: Uint8Array) => altered.slice(of.byteOffset, of.byteOffset + of.byteLength);
      const envelope = {
        ...good,
        associated: part(good.associated),
        nonce: part(good.nonce),
        ciphertext: part(good.ciphertext),
        signature: part(good.signature),
      };
      assert.equal(await isGenuine(identity, envelope), false, `byte ${at}`);
      const opening = decrypt(envelope, key);
      if (equal(envelope.signature, good.signature)) await assert.rejects(opening, `byte ${at}`);
      else assert.equal(textOf((await opening).data), "one");
    }
  });

  it("is refused when it is cut or extended", async () => {
    const payload = bytes(lines[0]?.payload ?? "");
    for (let length = 0; length < payload.length; length += 7) {
      const cut = toBase64url(payload.subarray(0, length));
      const { operations, refusal } = await open([{ client, index: 0, payload: cut }]);
      assert.deepEqual(operations, []);
      assert.equal(refusal?.kind, "forged", `${length} bytes`);
    }
    const longer = toBase64url(concat(payload, Uint8Array.of(0)));
    assert.equal((await open([{ client, index: 0, payload: longer }])).refusal?.kind, "forged");
  });

  it("is no envelope without room for a tag", () => {
    const payload = bytes(lines[0]?.payload ?? "");
    const short = payload.slice(0, 101 + 256 + 15 + 256);
    assert.equal(parseEnvelope(identity, toBase64url(short)), undefined);
  });

  it("is not made for a user without a fingerprint", async () => {
    for (const fingerprint of ["", "AAAA", `${identity.fingerprint}=`]) {
      await assert.rejects(sealed({ ...identity, fingerprint }, client, ["one"]), TypeError);
    }
  });

  it("is refused when it is not base64url, or another spelling of it", async () => {
    const payload = lines[0]?.payload ?? "";
    for (const wrong of ["é", `${payload}=`, ` ${payload}`, `${payload}\n`, `${payload}A`, "A"]) {
      const { refusal } = await open([{ client, index: 0, payload: wrong }]);
      assert.equal(refusal?.kind, "forged", JSON.stringify(wrong.slice(-4)));
    }
  });

  it("is refused in any other place, with the kind of the fault", async () => {
    const other = newClient();
    const [zero, one, two, three] = lines;
    assert.ok(zero && one && two && three);
    const at = (line: Line, index: number, name = client) => ({ ...line, client: name, index });
    const cases: readonly [string, readonly Line[], number, RefusalKind, string?][] = [
      ["another index", [zero, at(two, 1)], 1, "out of place"],
      ["swapped", [zero, two, one, three], 1, "chain broken"],
      ["swapped, with the indexes", [zero, at(two, 1), at(one, 2), three], 1, "out of place"],
      ["one is missing", [zero, two, three], 1, "chain broken"],
      ["the first is missing", [one, two], 0, "chain broken"],
      ["sent twice", [zero, one, one, two], 2, "out of place"],
      ["sent again later", [zero, one, two, zero], 3, "out of place"],
      ["under another client", [at(zero, 0, other)], 0, "out of place", other],
    ];
    for (const [what, run, good, kind, name = client] of cases) {
      const { operations, refusal, cursor } = await open(run, name);
      assert.equal(operations.length, good, what);
      assert.equal(refusal?.kind, kind, what);
      assert.equal(refusal?.index, run[good]?.index, what);
      assert.equal(cursor?.index, good === 0 ? undefined : good - 1, what);
    }
  });

  it("is refused when the user signed it for a place that is not the next", async () => {
    const [zero] = lines;
    assert.ok(zero);
    const hash = bytes((await open([zero])).cursor?.hash ?? "");
    const [five] = await sealed(identity, client, ["five"], 5, hash);
    const fingerprint = toBase64url(new Uint8Array(32));
    const [foreign] = await sealed({ ...identity, fingerprint }, client, ["foreign"], 1, hash);
    assert.ok(five && foreign);
    for (const [line, kind] of [
      [five, "chain broken"],
      [{ ...five, index: 1 }, "out of place"],
      [foreign, "out of place"],
    ] as const) {
      const { operations, refusal } = await open([zero, line]);
      assert.equal(operations.length, 1);
      assert.deepEqual(refusal, { kind, client, index: line.index });
    }
  });

  it("T-06 is refused when it belongs to another user, or was made with the public key alone", async () => {
    const stranger = await newIdentity();
    const theirs = await sealed(stranger, client, ["theirs"]);
    assert.equal((await open(theirs)).refusal?.kind, "forged");
    // All that the public key allows: a content key wrapped for the user, and a signature of others.
    const { keys } = stranger;
    const forger: Identity = { ...identity, keys: { ...identity.keys, sign: keys.sign } };
    const forged = await sealed(forger, client, ["forged", "forged too"]);
    const { operations, refusal } = await open(forged);
    assert.deepEqual(operations, []);
    assert.deepEqual(refusal, { kind: "forged", client, index: 0 });
  });

  it("is a fork when another one has its index, and a broken chain behind a fork", async () => {
    const [zero, one] = lines;
    assert.ok(zero && one);
    const hash = bytes((await open([zero])).cursor?.hash ?? "");
    const [other, next] = await sealed(identity, client, ["other", "next"], 1, hash);
    assert.ok(other && next);
    const forked = await open([zero, one, other]);
    assert.equal(forked.operations.length, 2);
    assert.deepEqual(forked.refusal, { kind: "fork", client, index: 1 });
    const behind = await open([zero, one, { ...next, index: 2 }]);
    assert.deepEqual(behind.refusal, { kind: "chain broken", client, index: 2 });
  });

  it("is unreadable when the user's own device encrypted it wrongly", async () => {
    const stranger = await newIdentity();
    const wrong: Identity = {
      ...identity,
      keys: { ...identity.keys, wrap: stranger.keys.wrap },
    };
    const [zero] = lines;
    assert.ok(zero);
    const hash = bytes((await open([zero])).cursor?.hash ?? "");
    const run = [zero, ...(await sealed(wrong, client, ["lost", "lost"], 1, hash))];
    const { operations, unreadable, cursor, refusal } = await open(run);
    assert.equal(operations.length, 1);
    assert.deepEqual(unreadable, [
      { kind: "unreadable", client, index: 1 },
      { kind: "unreadable", client, index: 2 },
    ]);
    assert.equal(cursor?.index, 2);
    assert.equal(refusal, undefined);
  });
});
