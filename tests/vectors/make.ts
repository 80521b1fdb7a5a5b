/**
 * Makes the test vectors of ENVELOPE.md anew, with the keys that they have: for when the format
 * changes. Run it with `npx tsx tests/vectors/make.ts`, and copy the values of E-7.3 into ENVELOPE.md.
 */
import assert from "node:assert/strict";
import { constants, createPrivateKey, hkdfSync, privateDecrypt, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { contentBytes } from "../../client/content.ts";
import {
  beginSession,
  NO_PREVIOUS,
  originOf,
  type Place,
  parseEnvelope,
  type Session,
  seal,
  sealBytes,
} from "../../client/envelope.ts";
import { identityOf } from "../../client/identity/identity.ts";
import type { Continues, Identity } from "../../client/types.ts";
import { fromBase64url, toBase64url } from "../../protocol/base64.ts";
import { type Bytes, utf8, uuidBytes } from "../../protocol/bytes.ts";
import { newIdentity } from "../support/private-keys.ts";
import { projectFolder } from "../support/process.ts";

const CLIENT = "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11";
const CONTINUING = "0d9b4c3e-6a51-4d0f-8f6e-2b7c1e5a9d44";
const OTHER = "c2a7e1f0-93b4-4c58-a1d6-7e0f3b9c8d21";

/** One operation, with all that goes into it and comes out of it. */
type Vector = Awaited<ReturnType<typeof vectorOf>>;

const path = (name: string) => join(projectFolder, "tests", "vectors", name);
const read = (name: string) => JSON.parse(readFileSync(path(name), "utf8"));
const write = (name: string, value: unknown) =>
  writeFileSync(path(name), `${JSON.stringify(value, undefined, 2)}\n`);
const bytes = (text: string): Bytes => fromBase64url(text) ?? assert.fail("not base64url");

const small = await makeOperations("envelope.json");
await makeOperations("envelope-3072.json");
await makeContinuing(small.identity, small.operations);
await makeRefusals(small.identity, small.pkcs8);

/** Three operations of one client in two sessions. */
async function makeOperations(name: string) {
  const { note, private_key_pkcs8: pkcs8, public_key, fingerprint, key_text } = read(name);
  const identity = await identityOf(bytes(pkcs8));
  const operations: Vector[] = [];
  let previous = NO_PREVIOUS;
  let session: Session | undefined;
  for (const [index, text] of ["Buy milk.", "", "Straße, 東京, 🦀"].entries()) {
    const place = { origin: originOf(identity, CLIENT), index, previous };
    if (session === undefined || index === 2) session = await beginSession(identity, place);
    const { payload, tag } = await seal(session, place, { data: utf8(text) });
    operations.push(await vectorOf(identity, pkcs8, place, session, payload, utf8(text)));
    previous = tag;
  }
  const head = { note, private_key_pkcs8: pkcs8, public_key, fingerprint };
  write(name, { ...head, ...(key_text && { key_text }), operations });
  return { identity, pkcs8, operations };
}

/** What E-7.1 lists of one operation. */
async function vectorOf(
  identity: Identity,
  pkcs8: string,
  place: Place,
  session: Session,
  payload: string,
  data: Bytes,
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
    data: toBase64url(data),
    content: toBase64url(contentBytes({ data })),
    associated_data: toBase64url(
      Buffer.concat([origin, number(place.index), place.previous, head]),
    ),
    ciphertext: toBase64url(ciphertext),
    tag: toBase64url(tag),
    payload,
  };
}

/** The first two operations of a client that continues two others. */
async function makeContinuing(identity: Identity, named: readonly Vector[]) {
  const { note } = read("envelope-continues.json");
  const tags = named.slice(1).map(({ tag }) => tag.slice(0, 20));
  const continues: Continues[] = [
    { client: CLIENT, index: 1, tags: tags.join("") },
    { client: OTHER, index: 70_000, tags: "" },
  ];
  const operations = [];
  let previous = NO_PREVIOUS;
  const origin = originOf(identity, CONTINUING);
  const session = await beginSession(identity, { origin, index: 0, previous });
  for (const [index, text] of ["Buy bread.", "Buy more bread."].entries()) {
    const data = utf8(text);
    const content = index === 0 ? { data, continues } : { data };
    const place = { origin, index, previous };
    const { payload, tag } = await seal(session, place, content);
    const [encoded, hex] = [toBase64url(data), toBase64url(tag)];
    operations.push({ operation_index: index, data: encoded, tag: hex, payload });
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

/** Lines that a receiver refuses, of each kind and by each check of E-4.5. */
async function makeRefusals(identity: Identity, pkcs8: string) {
  const stranger = await newIdentity();
  const payloads: Record<string, string> = {};
  const refusals: unknown[] = [];
  const at = (index: number, previous: Bytes, client = CLIENT, user = identity): Place => {
    return { origin: originOf(user, client), index, previous };
  };
  const add = (name: string, payload: string) => {
    payloads[name] = payload;
    return name;
  };
  const refuse = (
    name: string,
    kind: string | null,
    lines: readonly (readonly [number, string])[],
    options: { cursor?: unknown; delivered?: number; unreadable?: readonly number[] } = {},
  ) => {
    const { cursor = null, delivered = 0, unreadable = [] } = options;
    const named = lines.map(([operation_index, payload]) => ({ operation_index, payload }));
    refusals.push({ name, cursor, lines: named, delivered, unreadable, kind });
  };
  const altered = (payload: string, offset: number) => {
    const copy = bytes(payload);
    const place = offset < 0 ? copy.length + offset : offset;
    copy[place] = (copy[place] ?? 0) ^ 1;
    return toBase64url(copy);
  };
  const text = (words: string) => ({ data: utf8(words) });

  const session = await beginSession(identity, at(0, NO_PREVIOUS));
  const zero = await seal(session, at(0, NO_PREVIOUS), text("zero"));
  const one = await seal(session, at(1, zero.tag), text("one"));
  const two = await seal(session, at(2, one.tag), text("two"));
  const three = await seal(session, at(3, two.tag), text("three"));
  for (const [name, { payload }] of Object.entries({ zero, one, two, three })) add(name, payload);
  const start = { first: 0, secret: toBase64url(session.header?.wrapped ?? assert.fail()) };
  const cursorAt = (index: number, tag: Bytes, previous: Bytes, of: unknown = start) => ({
    operation_index: index,
    tag: toBase64url(tag),
    previous: toBase64url(previous),
    session: of,
  });
  const afterZero = cursorAt(0, zero.tag, NO_PREVIOUS);
  const afterOne = cursorAt(1, one.tag, zero.tag);
  const afterTwo = cursorAt(2, two.tag, one.tag);

  // Form.
  add("zero, padded", `${zero.payload}${"=".repeat(-zero.payload.length & 3) || "="}`);
  refuse("A payload that is padded", "forged", [[0, "zero, padded"]]);
  const uneven = await untilUneven();
  add("zero, with unused bits set", uneven);
  refuse("A payload whose last character has unused bits that are not zero", "forged", [
    [0, "zero, with unused bits set"],
  ]);
  add("zero, in the alphabet of base64", Buffer.from(bytes(zero.payload)).toString("base64"));
  refuse("A payload in base64 and not base64url", "forged", [
    [0, "zero, in the alphabet of base64"],
  ]);
  add("one, cut", toBase64url(bytes(one.payload).slice(0, 30)));
  refuse("A payload that is too short for its parts", "forged", [[1, "one, cut"]], {
    cursor: afterZero,
  });
  add("zero, cut", toBase64url(bytes(zero.payload).slice(0, 31 + 2 * 256 - 1)));
  refuse("A first payload that is too short for its header", "forged", [[0, "zero, cut"]]);
  // Versions.
  const other = bytes(one.payload);
  other[0] = 3;
  add("one, of version 3", toBase64url(other));
  refuse("A byte that says another version", "other version", [[1, "one, of version 3"]], {
    cursor: afterZero,
  });
  add("version 1, of any bytes", toBase64url(Buffer.concat([Buffer.of(1), randomBytes(99)])));
  refuse("Bytes that say another version", "other version", [[0, "version 1, of any bytes"]]);
  // Places.
  refuse("The operation at the cursor once more", "out of place", [[1, "one"]], {
    cursor: afterOne,
  });
  refuse("An operation below the cursor", "out of place", [[1, "one"]], { cursor: afterTwo });
  refuse("Any other bytes below the cursor", "out of place", [[0, "one"]], { cursor: afterTwo });
  refuse("An index that is missing", "chain broken", [[2, "two"]], { cursor: afterZero });
  refuse("A first operation with an index above 0", "chain broken", [[1, "one"]]);
  refuse("Any other bytes behind an index that is missing", "chain broken", [[3, "one"]], {
    cursor: afterOne,
  });
  refuse(
    "Operations in another order",
    "chain broken",
    [
      [0, "zero"],
      [2, "two"],
      [1, "one"],
    ],
    { delivered: 1 },
  );
  refuse(
    "Operations in another order, numbered anew",
    "forged",
    [
      [0, "zero"],
      [1, "two"],
      [2, "one"],
    ],
    { delivered: 1 },
  );
  // Headers.
  add("zero, with another signature", altered(zero.payload, 3 + 256 + 7));
  refuse("A signature that was altered", "forged", [[0, "zero, with another signature"]]);
  add("zero, with another secret", altered(zero.payload, 3 + 7));
  refuse("A wrapped secret that was altered", "forged", [[0, "zero, with another secret"]]);
  const forger: Identity = { ...identity, keys: { ...identity.keys, sign: stranger.keys.sign } };
  add("in the name of the user", await first(forger));
  refuse("A session for the user that another key has signed", "forged", [
    [0, "in the name of the user"],
  ]);
  add("of another user", await first(stranger));
  refuse("A whole envelope of another user", "forged", [[0, "of another user"]]);
  const fingerprint = stranger.fingerprint;
  add("with another fingerprint", await first({ ...identity, fingerprint }));
  refuse("Another fingerprint, signed by the user", "forged", [[0, "with another fingerprint"]]);
  add("zero of another client", await first(identity, OTHER));
  refuse("A first operation of another client of the user", "forged", [
    [0, "zero of another client"],
  ]);
  const grafted = await beginSession(identity, at(1, zero.tag, OTHER));
  const graft = await seal(grafted, at(1, zero.tag, OTHER), text("grafted"));
  add("a session of another client", graft.payload);
  refuse(
    "A session of another client of the user",
    "forged",
    [[1, "a session of another client"]],
    { cursor: afterZero },
  );
  const late = await beginSession(identity, at(2, one.tag));
  const lateTwo = await seal(late, at(2, one.tag), text("two"));
  const lateThree = await seal(late, at(3, lateTwo.tag), text("three"));
  add("two, of another session", lateTwo.payload);
  add("three, of another session", lateThree.payload);
  refuse(
    "An operation of another session than the one before it",
    "forged",
    [[3, "three, of another session"]],
    { cursor: afterTwo },
  );
  refuse(
    "A session that begins after another operation",
    "forged",
    [[1, "two, of another session"]],
    { cursor: afterZero },
  );
  refuse("An operation without a session", "forged", [[0, "one"]]);
  // Tags.
  add("one, with another ciphertext", altered(one.payload, -17));
  refuse("A ciphertext that was altered", "forged", [[1, "one, with another ciphertext"]], {
    cursor: afterZero,
  });
  add("one, with another distance", altered(one.payload, 2));
  add("two, with another ciphertext", altered(two.payload, -20));
  refuse("An operation under a higher index than its own", "forged", [[2, "one"]], {
    cursor: afterOne,
  });
  refuse("An operation under a lower index than its own", "forged", [[1, "two"]], {
    cursor: afterZero,
  });
  const otherZero = await seal(session, at(0, NO_PREVIOUS), text("another zero"));
  const afterOther = await seal(session, at(1, otherZero.tag), text("one"));
  add("one, after another zero", afterOther.payload);
  refuse("An operation that follows another one", "forged", [[1, "one, after another zero"]], {
    cursor: afterZero,
  });
  // Forks.
  const otherOne = await seal(session, at(1, zero.tag), text("another one"));
  add("another one", otherOne.payload);
  refuse("Another operation at the cursor", "fork", [[1, "another one"]], { cursor: afterOne });
  refuse(
    "Two operations with one index in an answer",
    "fork",
    [
      [0, "zero"],
      [1, "one"],
      [1, "another one"],
    ],
    { delivered: 2 },
  );
  refuse("Other bytes at the cursor", "forged", [[1, "one, with another ciphertext"]], {
    cursor: cursorAt(1, otherOne.tag, zero.tag),
  });
  const rival = await beginSession(identity, at(1, zero.tag));
  const rivalOne = await seal(rival, at(1, zero.tag), text("of a rival"));
  add("another one, in another session", rivalOne.payload);
  refuse(
    "Another operation at the cursor, in another session",
    "fork",
    [[1, "another one, in another session"]],
    { cursor: afterOne },
  );
  // What the user made wrong.
  const wrapper: Identity = { ...identity, keys: { ...identity.keys, wrap: stranger.keys.wrap } };
  add("zero, with a secret for another user", await first(wrapper));
  refuse("A secret that is wrapped for another key", "unreadable", [
    [0, "zero, with a secret for another user"],
  ]);
  for (const [what, content] of [
    ["empty", new Uint8Array(0)],
    ["of an unknown part", Uint8Array.of(9)],
    ["cut before the count", Uint8Array.of(1)],
    ["cut in a place", Uint8Array.of(1, 1, 2, 3)],
    ["cut in the tags", Uint8Array.of(1, 1, ...uuidBytes(OTHER), 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 5)],
  ] as const) {
    const broken = await sealBytes(session, at(0, NO_PREVIOUS), content);
    const name = add(`zero, with content that is ${what}`, broken.payload);
    refuse(`Content that is ${what}`, null, [[0, name]], { unreadable: [0] });
  }
  const badOne = await sealBytes(session, at(1, zero.tag), new Uint8Array(0));
  const next = await seal(session, at(2, badOne.tag), text("two"));
  add("one, without content", badOne.payload);
  add("two, after the one without content", next.payload);
  refuse(
    "An operation after one without content",
    null,
    [
      [0, "zero"],
      [1, "one, without content"],
      [2, "two, after the one without content"],
    ],
    { delivered: 2, unreadable: [1] },
  );
  refuse(
    "A fault after one without content",
    "forged",
    [
      [0, "zero"],
      [1, "one, without content"],
      [2, "two"],
    ],
    { delivered: 1, unreadable: [1] },
  );
  // Runs.
  refuse(
    "A fault in the last line: those before it are delivered",
    "forged",
    [
      [0, "zero"],
      [1, "one"],
      [2, "two, with another ciphertext"],
    ],
    { delivered: 2 },
  );
  refuse(
    "A fault in the middle: those after it are refused",
    "forged",
    [
      [0, "zero"],
      [1, "one, with another ciphertext"],
      [2, "two"],
    ],
    { delivered: 1 },
  );
  refuse(
    "A number of operations before this one that is wrong",
    "forged",
    [[1, "one, with another distance"]],
    { cursor: afterZero },
  );

  const { note } = read("refusals.json");
  write("refusals.json", {
    note,
    private_key_pkcs8: pkcs8,
    fingerprint: identity.fingerprint,
    client_id: CLIENT,
    refusals,
    payloads,
  });

  /** The payload of an operation with the index 0. */
  async function first(maker: Identity, client = CLIENT): Promise<string> {
    const place = at(0, NO_PREVIOUS, client, maker);
    return (await seal(await beginSession(maker, place), place, text("zero"))).payload;
  }

  /** A payload whose last character has unused bits, and one of them set. */
  async function untilUneven(): Promise<string> {
    for (let words = "zero"; ; words += "!") {
      const { payload } = await seal(session, at(0, NO_PREVIOUS), text(words));
      if (payload.length % 4 === 0) continue;
      const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
      const last = digits.indexOf(payload.at(-1) ?? "");
      return `${payload.slice(0, -1)}${digits[last + 1]}`;
    }
  }
}
