/** The envelope: its test vectors, its layout, and every way to alter it. */
import assert from "node:assert/strict";
import {
  constants,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  privateDecrypt,
  verify,
} from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import fc from "fast-check";
import { contentBytes } from "../../client/content.ts";
import { ContentKey } from "../../client/content-key.ts";
import {
  beginSession,
  MAX_DISTANCE,
  NO_PREVIOUS,
  openSession,
  originOf,
  parseEnvelope,
  type Session,
  sealBytes,
} from "../../client/envelope.ts";
import { identityOf } from "../../client/identity/identity.ts";
import { importIdentity } from "../../client/identity.ts";
import type { Identity } from "../../client/index.ts";
import { entriesOf } from "../../client/operation.ts";
import type { RefusalKind } from "../../client/types.ts";
import { RunVerifier } from "../../client/verify.ts";
import { fromBase64url, toBase64url } from "../../protocol/base64.ts";
import { concat, textOf, utf8 } from "../../protocol/bytes.ts";
import type { Line } from "../../protocol/types.ts";
import { newIdentity } from "../support/private-keys.ts";
import { projectFolder } from "../support/process.ts";
import { sealed, tagOf } from "../support/sealed.ts";
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
      operations.map(({ content }) => content.entries.map(toBase64url)),
      vectors.operations.map(({ entries }) => entries),
    );
    const last = vectors.operations.at(-1);
    assert.deepEqual(cursor, {
      client,
      index: last?.operation_index,
      tag: last?.tag,
      previous: last?.previous,
      session: cursor?.session,
    });
    assert.equal(cursor?.session.first, last?.session_first);
  });

  /** E-1.5, for an operation of the vectors. */
  function contentIn({ entries, heads }: (typeof vectors.operations)[number]): Buffer {
    const parts = [Buffer.of(heads.length > 0 ? 2 : 0)];
    if (heads.length > 0) parts.push(Buffer.of(heads.length));
    for (const { client_id, operation_index, tag } of heads) {
      const index = Buffer.alloc(8);
      index.writeBigUInt64BE(BigInt(operation_index));
      const client = Buffer.from(client_id.replaceAll("-", ""), "hex");
      parts.push(client, index, Buffer.from(tag, "base64url"));
    }
    for (const entry of entries) {
      const data = Buffer.from(entry, "base64url");
      const { length } = data;
      parts.push(length < 128 ? Buffer.of(length) : Buffer.of(128 + (length % 128), length >> 7));
      parts.push(data);
    }
    return Buffer.concat(parts);
  }

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
    let wrapped = Buffer.alloc(0);
    for (const operation of vectors.operations) {
      const payload = Buffer.from(operation.payload, "base64url");
      const distance = operation.operation_index - operation.session_first;
      assert.deepEqual([...payload.subarray(0, 3)], [2, 0, distance]);
      const place = (of: number) => {
        const index = Buffer.alloc(8);
        index.writeBigUInt64BE(BigInt(of));
        const client = Buffer.from(operation.client_id.replaceAll("-", ""), "hex");
        return Buffer.concat([fingerprint, client, index]);
      };
      const previous = Buffer.from(operation.previous, "base64url");
      const own = Buffer.concat([place(operation.operation_index), previous]);
      const headEnd = distance === 0 ? 3 + 2 * 256 : 3;
      if (distance === 0) {
        wrapped = payload.subarray(3, 3 + 256);
        const signed = Buffer.concat([
          Buffer.from("sync-server envelope 2 session\n"),
          own,
          wrapped,
        ]);
        const pss = { key: createPublicKey(key), padding: constants.RSA_PKCS1_PSS_PADDING };
        const signature = payload.subarray(3 + 256, headEnd);
        assert.ok(verify("sha256", signed, { ...pss, saltLength: 32 }, signature));
      }
      const secret = privateDecrypt(
        {
          key,
          padding: constants.RSA_PKCS1_OAEP_PADDING,
          oaepHash: "sha256",
          oaepLabel: Buffer.from("sync-server envelope 2 secret"),
        },
        wrapped,
      );
      assert.equal(secret.toString("base64url"), operation.secret);
      const info = Buffer.concat([
        Buffer.from("sync-server envelope 2 content key\n"),
        place(operation.session_first),
      ]);
      const contentKey = Buffer.from(hkdfSync("sha256", secret, Buffer.alloc(0), info, 32));
      assert.equal(contentKey.toString("base64url"), operation.content_key);
      const associated = Buffer.concat([own, payload.subarray(0, headEnd)]);
      assert.equal(associated.toString("base64url"), operation.associated_data);
      const nonce = payload.subarray(headEnd, headEnd + 12);
      assert.equal(nonce.toString("base64url"), operation.nonce);
      const ciphertext = payload.subarray(headEnd + 12);
      assert.equal(ciphertext.toString("base64url"), operation.ciphertext);
      const decipher = createDecipheriv("aes-256-gcm", contentKey, nonce);
      decipher.setAAD(associated);
      decipher.setAuthTag(ciphertext.subarray(-16));
      const content = Buffer.concat([
        decipher.update(ciphertext.subarray(0, -16)),
        decipher.final(),
      ]);
      assert.equal(content.toString("base64url"), operation.content);
      assert.deepEqual(content, contentIn(operation));
      assert.equal(payload.toString("base64url", payload.length - 16), operation.tag);
    }
  });

  it("appear unchanged in ENVELOPE.md", () => {
    const document = readFileSync(join(projectFolder, "ENVELOPE.md"), "utf8");
    const [first] = vectors.operations;
    assert.ok(first);
    const { secret, content_key, nonce, entries, content, ciphertext, tag } = first;
    const sealing = [secret, content_key, nonce, ...entries, content, ciphertext, tag];
    for (const value of [vectors.fingerprint, ...sealing]) {
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
      entriesOf(operations).map(({ index, data }) => [index, textOf(data)]),
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
          entriesOf(operations).map(({ data }) => textOf(data)),
          texts,
        );
      },
    );
    await fc.assert(property, { numRuns: 20 });
  });

  it("T-16 is refused when any of its bytes is altered, the first of a session and a later one", async () => {
    for (const index of [0, 1]) {
      const payload = bytes(lines[index]?.payload ?? "");
      for (let at = 0; at < payload.length; at++) {
        const altered = payload.slice();
        altered[at] = (altered[at] ?? 0) ^ (1 << (at % 8));
        const run = lines.with(index, { client, index, payload: toBase64url(altered) });
        const { operations, refusal } = await open(run);
        assert.equal(operations.length, index, `byte ${at}`);
        const kind = at === 0 ? "other version" : "forged";
        assert.deepEqual(refusal, { kind, client, index }, `byte ${at}`);
      }
    }
  });

  it("is refused when it is cut or extended", async () => {
    for (const index of [0, 1]) {
      const payload = bytes(lines[index]?.payload ?? "");
      for (let length = 0; length < payload.length; length += 7) {
        const cut = toBase64url(payload.subarray(0, length));
        const { operations, refusal } = await open(
          lines.with(index, { client, index, payload: cut }),
        );
        assert.equal(operations.length, index);
        assert.equal(refusal?.kind, "forged", `${length} bytes`);
      }
      const longer = toBase64url(concat(payload, Uint8Array.of(0)));
      const { refusal } = await open(lines.with(index, { client, index, payload: longer }));
      assert.equal(refusal?.kind, "forged");
    }
  });

  it("is no envelope without room for a tag", () => {
    const [zero, one] = lines.map(({ payload }) => bytes(payload));
    const isEnvelope = (payload: Uint8Array) =>
      parseEnvelope(identity, toBase64url(payload)) !== undefined;
    const least = 3 + 12 + 16;
    assert.ok(zero && one);
    assert.deepEqual(
      [isEnvelope(one.slice(0, least)), isEnvelope(one.slice(0, least - 1))],
      [true, false],
    );
    const first = least + 2 * 256;
    assert.deepEqual(
      [isEnvelope(zero.slice(0, first)), isEnvelope(zero.slice(0, first - 1))],
      [true, false],
    );
  });

  it("adds 31 bytes to its content, and a header where it begins a session", () => {
    const overhead = (index: number, text: string) =>
      bytes(lines[index]?.payload ?? "").length - contentBytes({ entries: [utf8(text)] }).length;
    assert.equal(overhead(1, "one"), 31);
    assert.equal(overhead(3, "three"), 31);
    assert.equal(overhead(0, "zero"), 31 + 2 * 256);
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
      ["another index", [zero, at(two, 1)], 1, "forged"],
      ["swapped", [zero, two, one, three], 1, "chain broken"],
      ["swapped, with the indexes", [zero, at(two, 1), at(one, 2), three], 1, "forged"],
      ["one is missing", [zero, two, three], 1, "chain broken"],
      ["one is missing, and the rest is numbered anew", [zero, at(two, 1)], 1, "forged"],
      ["the first is missing", [one, two], 0, "chain broken"],
      ["sent twice", [zero, one, one, two], 2, "out of place"],
      ["sent again later", [zero, one, two, zero], 3, "out of place"],
      ["under another client", [at(zero, 0, other)], 0, "forged", other],
    ];
    for (const [what, run, good, kind, name = client] of cases) {
      const { operations, refusal, cursor } = await open(run, name);
      assert.equal(operations.length, good, what);
      assert.equal(refusal?.kind, kind, what);
      assert.equal(refusal?.index, run[good]?.index, what);
      assert.equal(cursor?.index, good === 0 ? undefined : good - 1, what);
    }
  });

  it("is refused in the session of another place, of another client, or after another operation", async () => {
    const [zero] = lines;
    assert.ok(zero);
    const tag = tagOf(zero.payload);
    const origin = originOf(identity, client);
    const cases = [
      { origin, index: 5, previous: tag },
      { origin, index: 1, previous: NO_PREVIOUS },
      { origin: originOf(identity, newClient()), index: 1, previous: tag },
    ];
    for (const place of cases) {
      const session = await beginSession(identity, place);
      const made = { ...session, first: 1 };
      const [line] = await sealed(identity, client, ["one"], 1, tag, made);
      assert.ok(line);
      const { operations, refusal } = await open([zero, line]);
      assert.equal(operations.length, 1);
      assert.deepEqual(refusal, { kind: "forged", client, index: 1 });
    }
  });

  it("goes on in a session that another receiver of it has read from the first operation on", async () => {
    const verifier = new RunVerifier(identity);
    const { cursor } = await verifier.verify(client, lines.slice(0, 2), undefined);
    const kept = JSON.parse(JSON.stringify(cursor));
    const { operations, refusal } = await new RunVerifier(identity).verify(
      client,
      lines.slice(2),
      kept,
    );
    assert.equal(refusal, undefined);
    assert.deepEqual(
      entriesOf(operations).map(({ data }) => textOf(data)),
      ["two", "three"],
    );
  });

  it("says the distance to the beginning of its session, up to the longest", async () => {
    const previous = tagOf(lines[3]?.payload ?? "");
    const origin = originOf(identity, client);
    const session = await beginSession(identity, { origin, index: 4, previous });
    const [first] = await sealed(identity, client, ["first"], 4, previous, session);
    assert.ok(first);
    const before = tagOf(first.payload);
    const index = 4 + MAX_DISTANCE;
    const [last] = await sealed(identity, client, ["last"], index, before, session);
    assert.ok(last);
    const { cursor } = await open([...lines, first]);
    assert.ok(cursor);
    const verifier = new RunVerifier(identity);
    const { operations } = await verifier.verify(client, [last], { ...cursor, index: index - 1 });
    assert.equal(operations.length, 1);
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

  it("is a fork when another one has its index, and forged behind a fork", async () => {
    const [zero, one] = lines;
    assert.ok(zero && one);
    const session = await sessionOf(zero);
    const tag = tagOf(zero.payload);
    for (const known of [session, undefined]) {
      const [other, next] = await sealed(identity, client, ["other", "next"], 1, tag, known);
      assert.ok(other && next);
      const forked = await open([zero, one, other]);
      assert.equal(forked.operations.length, 2);
      assert.deepEqual(forked.refusal, { kind: "fork", client, index: 1 });
      const behind = await open([zero, one, { ...next, index: 2 }]);
      assert.deepEqual(behind.refusal, { kind: "forged", client, index: 2 });
    }
  });

  it("is forged where it goes on in the session before that of the operation received in its place", async () => {
    const [zero, one] = lines;
    assert.ok(zero && one);
    const [received] = await sealed(identity, client, ["other"], 1, tagOf(zero.payload));
    assert.ok(received);
    const { refusal } = await open([zero, received, one]);
    assert.deepEqual(refusal, { kind: "forged", client, index: 1 });
  });

  it("is unreadable when the user's own device made its content wrongly", async () => {
    const [zero] = lines;
    assert.ok(zero);
    const session = await sessionOf(zero);
    const run = [zero];
    for (const index of [1, 2]) {
      const origin = originOf(identity, client);
      const place = { origin, index, previous: tagOf(run.at(-1)?.payload ?? "") };
      const { payload } = await sealBytes(session, place, Uint8Array.of(7));
      run.push({ client, index, payload });
    }
    const { operations, unreadable, cursor, refusal } = await open(run);
    assert.equal(operations.length, 1);
    assert.deepEqual(unreadable, [
      { kind: "unreadable", client, index: 1 },
      { kind: "unreadable", client, index: 2 },
    ]);
    assert.equal(cursor?.index, 2);
    assert.equal(refusal, undefined);
  });

  it("is forged when it says another beginning of its session, though the user has made it", async () => {
    const [zero, one] = lines;
    assert.ok(zero && one);
    const wrong = { ...(await sessionOf(zero)), first: 1 };
    const [two] = await sealed(identity, client, ["two"], 2, tagOf(one.payload), wrong);
    assert.ok(two);
    assert.deepEqual((await open([zero, one, two])).refusal, { kind: "forged", client, index: 2 });
  });

  it("is unreadable when the secret of its session has another length, though the user has signed it", async () => {
    const { wrap, sign } = identity.keys;
    const label = utf8("sync-server envelope 2 secret");
    const secret = new Uint8Array(16);
    const wrapped = await crypto.subtle.encrypt({ name: "RSA-OAEP", label }, wrap, secret);
    const place = concat(originOf(identity, client), new Uint8Array(8), NO_PREVIOUS);
    const signed = concat(utf8("sync-server envelope 2 session\n"), place, new Uint8Array(wrapped));
    const pss = { name: "RSA-PSS", saltLength: 32 };
    const signature = await crypto.subtle.sign(pss, sign, signed);
    const header = { wrapped: new Uint8Array(wrapped), signature: new Uint8Array(signature) };
    const context = utf8("sync-server envelope 2 content key\n");
    const info = concat(context, originOf(identity, client), new Uint8Array(8));
    const key = await ContentKey.derive(secret, info);
    const run = await sealed(identity, client, ["zero"], 0, NO_PREVIOUS, { first: 0, header, key });
    assert.deepEqual((await open(run)).refusal, { kind: "unreadable", client, index: 0 });
  });

  it("is unreadable when the user's own device wrapped the secret wrongly", async () => {
    const stranger = await newIdentity();
    const wrong: Identity = { ...identity, keys: { ...identity.keys, wrap: stranger.keys.wrap } };
    const [zero] = lines;
    assert.ok(zero);
    const lost = await sealed(wrong, client, ["lost", "lost"], 1, tagOf(zero.payload));
    const behind = await sealed(identity, client, ["three"], 3, tagOf(lost[1]?.payload ?? ""));
    const run = [zero, ...lost, ...behind];
    const { operations, cursor, refusal } = await open(run);
    assert.equal(operations.length, 1);
    assert.deepEqual(refusal, { kind: "unreadable", client, index: 1 });
    assert.equal(cursor?.index, 0);
  });

  /** The session that an operation began, to go on with it. */
  async function sessionOf({ index, payload }: Line): Promise<Session> {
    const { header } = parseEnvelope(identity, payload) ?? assert.fail();
    const origin = originOf(identity, client);
    const key = await openSession(identity, origin, index, header?.wrapped ?? assert.fail());
    return { first: index, header: undefined, key };
  }
});
