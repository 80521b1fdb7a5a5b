/** What the text of a key says of the devices (ENVELOPE.md, E-6.6 to E-6.8). */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { contentBytes } from "../../client/content.ts";
import { beginSession, NO_PREVIOUS, originOf, sealBytes } from "../../client/envelope.ts";
import { identityOf } from "../../client/identity/identity.ts";
import { headsIn } from "../../client/identity/key-heads.ts";
import { armoured, encryptKey, partIn } from "../../client/identity/key-text.ts";
import { InvalidKey, importIdentity, withHeads } from "../../client/identity.ts";
import type { Head } from "../../client/index.ts";
import { RunVerifier } from "../../client/verify.ts";
import { fromBase64url, toBase64url } from "../../protocol/base64.ts";
import { type Bytes, randomBytes } from "../../protocol/bytes.ts";
import { newIdentity, newPrivateKey } from "../support/private-keys.ts";
import { NOTHING, ReferenceReceiver } from "../support/reference-receiver.ts";
import { newClient } from "../support/users.ts";
import vectors from "../vectors/envelope.json" with { type: "json" };

const { text, passphrase, with_heads } = vectors.key_text;
const NO_CLIENT = "00000000-0000-0000-0000-000000000000";

const identity = () => identityOf(bytesOf(vectors.private_key_pkcs8));
const bytesOf = (base64url: string): Bytes => fromBase64url(base64url) ?? assert.fail();
const someHeads = (count: number): Head[] =>
  Array.from({ length: count }, (_, index) => {
    return { client: newClient(), index, tag: toBase64url(randomBytes(16)) };
  });
/** The encrypted key, whose end the heads are bound to. */
const previousIn = (key: string) => bytesOf(partIn(key, "KEY") ?? "").slice(-16);

describe("the text of a key with heads", () => {
  it("brings them to the device that imports it, with the time", async () => {
    const heads = someHeads(3);
    const shown = await withHeads(text, await identity(), heads);
    const imported = await importIdentity(shown, passphrase, 1234);
    assert.equal(imported.fingerprint, vectors.fingerprint);
    assert.deepEqual(imported.expected, { heads, since: 1234 });
    const spelled = `The key:\n\n${shown.replaceAll("\n", "\r\n  ")}\nThat is all.`;
    assert.deepEqual((await importIdentity(spelled, passphrase, 1)).expected?.heads, heads);
  });

  it("begins with the text without them, which is all that software reads that does not know them", async () => {
    const shown = await withHeads(text, await identity(), someHeads(1));
    assert.ok(shown.startsWith(text));
    for (const line of shown.split("\n")) assert.match(line, /^[-A-Za-z0-9_ ]{0,64}$/);
  });

  it("is imported without them where it has none", async () => {
    assert.equal(await headsIn(text, await identity()), undefined);
    const shown = await withHeads(text, await identity(), []);
    assert.deepEqual(await headsIn(shown, await identity()), []);
  });

  it("has those that were added last, and 64 at most", async () => {
    const user = await identity();
    const [first, second] = [someHeads(1), someHeads(65)];
    const shown = await withHeads(await withHeads(text, user, first), user, second);
    assert.deepEqual(await headsIn(shown, user), second.slice(0, 64));
    assert.equal(shown.split("SYNC-SERVER HEADS").length, 3);
    assert.ok(shown.length < text.length + 4500, `${shown.length - text.length} characters more`);
  });

  it("cannot be made from what is no key", async () => {
    await assert.rejects(withHeads("a text", await identity(), []), /must have the lines/);
  });

  it("is read as in the vectors, also by a receiver written from ENVELOPE.md", async () => {
    const heads = with_heads.heads.map(({ client_id: client, operation_index: index, tag }) => {
      return { client, index, tag };
    });
    assert.deepEqual(await headsIn(with_heads.text, await identity()), heads);
    const receiver = new ReferenceReceiver(Buffer.from(vectors.private_key_pkcs8, "base64url"));
    const payload = partIn(with_heads.text, "HEADS") ?? "";
    const tag = Buffer.from(previousIn(with_heads.text));
    const lines = [{ operation_index: 0, payload }];
    const { delivered, refusal } = receiver.receive(NO_CLIENT, lines, { ...NOTHING, tag });
    assert.equal(refusal, undefined);
    assert.deepEqual(delivered, [{ entries: [], heads }]);
  });

  it("T-20 has nothing that a server could pass off as an operation", async () => {
    const user = await identity();
    const payload = partIn(await withHeads(text, user, someHeads(1)), "HEADS") ?? "";
    const verifier = new RunVerifier(user);
    const { refusal, operations } = await verifier.verify(
      NO_CLIENT,
      [{ client: NO_CLIENT, index: 0, payload }],
      undefined,
    );
    assert.equal(refusal?.kind, "forged");
    assert.deepEqual(operations, []);
  });
});

describe("a text of a key whose heads", () => {
  /** A payload by a user in the place of the heads of a text, or in another one. */
  async function payloadOf(
    content: Bytes,
    { user = identity(), client = NO_CLIENT, previous = previousIn(text) } = {},
  ): Promise<string> {
    const by = await user;
    const place = { origin: originOf(by, client), index: 0, previous };
    return (await sealBytes(await beginSession(by, place), place, content)).payload;
  }

  async function assertRefused(shown: string, what: string): Promise<void> {
    await assert.rejects(
      headsIn(shown, await identity()),
      (error) => error instanceof InvalidKey && /copy all of it again/.test(error.message),
      what,
    );
  }

  it("T-20 were altered in any part is refused", async () => {
    const payload = bytesOf(partIn(with_heads.text, "HEADS") ?? "");
    const parts = { version: 0, distance: 2, secret: 9, signature: 300, nonce: 520, heads: 540 };
    for (const [what, at] of Object.entries({ ...parts, tag: payload.length - 1 })) {
      const altered = payload.slice();
      altered[at] = (altered[at] ?? 0) ^ 1;
      await assertRefused(text + armoured("HEADS", toBase64url(altered)), what);
    }
    const extended = Uint8Array.of(...payload, 0);
    await assertRefused(text + armoured("HEADS", toBase64url(extended)), "extended");
  });

  it("are cut, or are none, is refused", async () => {
    const { length } = with_heads.text;
    const start = with_heads.text.indexOf("-----BEGIN SYNC-SERVER HEADS");
    for (const end of [length - 8, length - 60, length - 400, start + 40]) {
      await assertRefused(with_heads.text.slice(0, end), `cut at ${end}`);
    }
    await assertRefused(text + with_heads.text.slice(start + 70), "without the first line");
    for (const body of ["", "AAAA", "é", "A".repeat(100_000)]) {
      await assertRefused(text + armoured("HEADS", body), `${body.length} characters`);
    }
    await assertRefused(text + armoured("HEADS", await payloadOf(Uint8Array.of(4))), "malformed");
  });

  it("T-20 are of another key, of another text of the key, or an operation, is refused", async () => {
    const content = contentBytes({ entries: [], heads: someHeads(1) });
    const right = text + armoured("HEADS", await payloadOf(content));
    assert.equal((await headsIn(right, await identity()))?.length, 1, "made as here, it opens");
    const again = await encryptKey(bytesOf(vectors.private_key_pkcs8), passphrase);
    const cases: [what: string, payload: string][] = [
      ["another user", await payloadOf(content, { user: newIdentity() })],
      ["another text", await payloadOf(content, { previous: previousIn(again) })],
      ["another client", await payloadOf(content, { client: newClient() })],
      ["a first operation", await payloadOf(content, { previous: NO_PREVIOUS })],
    ];
    for (const { payload, operation_index: index } of vectors.operations) {
      cases.push([`operation ${index}`, payload]);
    }
    for (const [what, payload] of cases) {
      await assertRefused(text + armoured("HEADS", payload), what);
    }
    const shown = await withHeads(again, await identity(), []);
    await assertRefused(text + shown.slice(shown.indexOf("\n-----BEGIN")), "moved");
  });

  it("T-20 were altered makes no identity", async () => {
    const key = await newPrivateKey();
    const own = await encryptKey(key, passphrase);
    const forged = own + with_heads.text.slice(with_heads.text.indexOf("\n-----BEGIN"));
    await assert.rejects(importIdentity(forged, passphrase), InvalidKey);
  });
});
