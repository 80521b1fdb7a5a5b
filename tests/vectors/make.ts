/**
 * Makes the test vectors of ENVELOPE.md anew, with the keys that they have: for when the format
 * changes. Run it with `npx tsx tests/vectors/make.ts`, and copy the values of E-7.3 into ENVELOPE.md.
 */
import assert from "node:assert/strict";
import { constants, createPrivateKey, hkdfSync, privateDecrypt } from "node:crypto";
import { type Content, contentBytes } from "../../client/content.ts";
import {
  beginSession,
  NO_PREVIOUS,
  originOf,
  type Place,
  parseEnvelope,
  type Session,
  seal,
} from "../../client/envelope.ts";
import { identityOf } from "../../client/identity/identity.ts";
import { withHeads } from "../../client/identity/key-heads.ts";
import type { Head, Identity } from "../../client/types.ts";
import { toBase64url } from "../../protocol/base64.ts";
import { randomBytes, utf8, uuidBytes } from "../../protocol/bytes.ts";
import { bytes, CLIENT, CONTINUING, OTHER, read, write } from "./files.ts";
import { makePairing } from "./pairing.ts";
import { makeRefusals } from "./refusals.ts";

/** One operation, with all that goes into it and comes out of it. */
type Vector = Awaited<ReturnType<typeof vectorOf>>;

const headAt = (client: string, index: number): Head => {
  return { client, index, tag: toBase64url(randomBytes(16)) };
};

/** One entry in each operation, then several, one of them empty and one with a length of two bytes, then none. */
const CONTENTS: readonly Content[] = [
  { entries: [utf8("Buy milk.")] },
  { entries: [utf8("")] },
  { entries: [utf8("Straße, 東京, 🦀")] },
  { entries: [utf8("Buy bread."), utf8(""), utf8("Buy bread again. ".repeat(12))] },
  { entries: [], heads: [headAt(OTHER, 2 ** 53 - 1), headAt(CONTINUING, 1)] },
];

const small = await makeOperations("envelope.json");
await makeOperations("envelope-3072.json");
await makeContinuing(small.identity, small.operations);
await makeRefusals(small.identity, small.pkcs8);
await makePairing(small.pkcs8);

/** Operations of one client in two sessions. */
async function makeOperations(name: string) {
  const { note, private_key_pkcs8: pkcs8, public_key, fingerprint, key_text } = read(name);
  const identity = await identityOf(bytes(pkcs8));
  const operations: Vector[] = [];
  let previous = NO_PREVIOUS;
  let session: Session | undefined;
  for (const [index, content] of CONTENTS.entries()) {
    const place = { origin: originOf(identity, CLIENT), index, previous };
    if (session === undefined || index === 2) session = await beginSession(identity, place);
    const { payload, tag } = await seal(session, place, content);
    operations.push(await vectorOf(identity, pkcs8, place, session, payload, content));
    previous = tag;
  }
  const head = { note, private_key_pkcs8: pkcs8, public_key, fingerprint };
  const last = operations.at(-1) ?? assert.fail();
  const texts = key_text && { key_text: await makeTexts(identity, key_text, last) };
  write(name, { ...head, ...texts, operations });
  return { identity, pkcs8, operations };
}

/** The key as text, and with heads: of the client of the vectors, and of others. */
async function makeTexts(
  identity: Identity,
  { passphrase, text }: { readonly passphrase: string; readonly text: string },
  { client_id, operation_index, tag, heads: others }: Vector,
) {
  const heads = [{ client_id, operation_index, tag }, ...others];
  const told = heads.map((one) => {
    return { client: one.client_id, index: one.operation_index, tag: one.tag };
  });
  const with_heads = { text: await withHeads(text, identity, told), heads };
  return { passphrase, text, with_heads };
}

/** What E-7.1 lists of one operation. */
async function vectorOf(
  identity: Identity,
  pkcs8: string,
  place: Place,
  session: Session,
  payload: string,
  content: Content,
) {
  const { nonce, ciphertext, tag, head } = parseEnvelope(identity, payload) ?? assert.fail();
  const { wrapped } = session.header ?? assert.fail();
  const key = createPrivateKey({ key: Buffer.from(bytes(pkcs8)), format: "der", type: "pkcs8" });
  const oaep = {
    padding: constants.RSA_PKCS1_OAEP_PADDING,
    oaepHash: "sha256",
    oaepLabel: Buffer.from("sync-server envelope 2 secret"),
  };
  const secret = privateDecrypt({ key, ...oaep }, wrapped);
  const number = (value: number) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigUInt64BE(BigInt(value));
    return buffer;
  };
  const origin = Buffer.concat([bytes(identity.fingerprint), uuidBytes(CLIENT)]);
  const info = Buffer.concat([
    Buffer.from("sync-server envelope 2 content key\n"),
    origin,
    number(session.first),
  ]);
  const contentKey = hkdfSync("sha256", secret, Buffer.alloc(0), info, 32);
  return {
    client_id: CLIENT,
    operation_index: place.index,
    previous: toBase64url(place.previous),
    session_first: session.first,
    secret: toBase64url(secret),
    content_key: toBase64url(new Uint8Array(contentKey)),
    nonce: toBase64url(nonce),
    ...partsOf(content),
    content: toBase64url(contentBytes(content)),
    associated_data: toBase64url(
      Buffer.concat([origin, number(place.index), place.previous, head]),
    ),
    ciphertext: toBase64url(ciphertext),
    tag: toBase64url(tag),
    payload,
  };
}

/** The entries and heads of an operation, as the vectors have them. */
function partsOf({ entries, heads = [] }: Content) {
  return {
    entries: entries.map(toBase64url),
    heads: heads.map(({ client, index, tag }) => ({
      client_id: client,
      operation_index: index,
      tag,
    })),
  };
}

/** The first two operations of a client that continues two others. */
async function makeContinuing(identity: Identity, named: readonly Vector[]) {
  const { note } = read("envelope-continues.json");
  const tags = named.slice(1).map(({ tag }) => tag.slice(0, 20));
  const continues = [
    { client: CLIENT, index: 1, tags: tags.join("") },
    { client: OTHER, index: 70_000, tags: "" },
  ];
  const contents: readonly Content[] = [
    { entries: [utf8("Buy bread."), utf8("Buy jam.")], continues, heads: [headAt(OTHER, 70_003)] },
    { entries: [utf8("Buy more bread.")] },
  ];
  const operations = [];
  let previous = NO_PREVIOUS;
  const origin = originOf(identity, CONTINUING);
  const session = await beginSession(identity, { origin, index: 0, previous });
  for (const [index, content] of contents.entries()) {
    const { payload, tag } = await seal(session, { origin, index, previous }, content);
    const parts = partsOf(content);
    operations.push({ operation_index: index, ...parts, tag: toBase64url(tag), payload });
    previous = tag;
  }
  write("envelope-continues.json", {
    note,
    client_id: CONTINUING,
    continues: [
      { client_id: CLIENT, operation_index: 1, tags },
      { client_id: OTHER, operation_index: 70_000, tags: [] },
    ],
    operations,
  });
}
