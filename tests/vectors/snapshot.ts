/** The vectors of a snapshot: `npx tsx tests/vectors/snapshot.ts` makes them anew. */
import assert from "node:assert/strict";
import { type Content, contentBytes } from "../../client/content.ts";
import {
  beginSession,
  NO_PREVIOUS,
  originOf,
  parseEnvelope,
  type Session,
  SNAPSHOT_VERSION,
  seal,
  sealBytes,
} from "../../client/envelope.ts";
import { identityOf } from "../../client/identity/identity.ts";
import type { Cursor } from "../../client/types.ts";
import { toBase64url } from "../../protocol/base64.ts";
import { randomBytes, utf8 } from "../../protocol/bytes.ts";
import { bytes, CLIENT, CONTINUING, OTHER, read, write } from "./files.ts";
import { MALFORMED_SNAPSHOTS } from "./malformed.ts";

const { private_key_pkcs8: pkcs8, operations: named } = read("envelope.json");
const identity = await identityOf(bytes(pkcs8));
const origin = originOf(identity, CONTINUING);
const random = (length: number) => toBase64url(randomBytes(length));
const placeOf = ({ client, index, tag, previous, session }: Cursor) => ({
  client_id: client,
  operation_index: index,
  tag,
  previous,
  session,
});

const secret = parseEnvelope(identity, named[2].payload)?.header?.wrapped ?? assert.fail();
const cursors: readonly Cursor[] = [
  {
    client: CLIENT,
    index: 3,
    tag: named[3].tag,
    previous: named[2].tag,
    session: { first: 2, secret: toBase64url(secret) },
  },
  {
    client: OTHER,
    index: 70_000,
    tag: random(16),
    previous: random(16),
    session: { first: 70_000 - 65_535, secret: random(256) },
    continues: [{ client: CLIENT, index: 4, tags: random(15) }],
  },
];
const continues = [{ client: CLIENT, index: 4, tags: named[4].tag.slice(0, 20) }];
const contents: readonly Content[] = [
  { entries: [utf8("Buy bread.")], continues },
  { entries: [], continues, snapshot: { cursors, state: utf8("Buy milk. Buy bread.") } },
  { entries: [utf8("Buy jam.")] },
];
const payloads: string[] = [];
const operations = [];
let previous = NO_PREVIOUS;
let session: Session | undefined;
for (const [index, content] of contents.entries()) {
  const place = { origin, index, previous };
  if (session === undefined || content.snapshot) session = await beginSession(identity, place);
  const { payload, tag } = await seal(session, place, content);
  payloads.push(payload);
  const text = toBase64url(contentBytes(content));
  operations.push({ operation_index: index, content: text, tag: toBase64url(tag), payload });
  previous = tag;
}

/** A snapshot that was altered at an offset of its bytes. */
const altered = (offset: number) => {
  const copy = bytes(payloads[1] ?? "");
  const at = offset < 0 ? copy.length + offset : offset;
  return toBase64url(copy.with(at, (copy[at] ?? 0) ^ 1));
};
const place = { origin, index: 1, previous: bytes(operations[0]?.tag ?? "") };
const rival = await beginSession(identity, place);
const other = { ...place, previous: randomBytes(16) };
const elsewhere = await beginSession(identity, other);
const refusals = [
  { name: "Another version", kind: "other version", payload: altered(0) },
  { name: "A distance", kind: "forged", payload: altered(2) },
  { name: "A secret that was altered", kind: "forged", payload: altered(3 + 7) },
  { name: "A signature that was altered", kind: "forged", payload: altered(3 + 256 + 7) },
  { name: "Another operation before it", kind: "forged", payload: altered(3 + 512 + 7) },
  { name: "A ciphertext that was altered", kind: "forged", payload: altered(-17) },
  {
    name: "Too few bytes for all parts",
    kind: "forged",
    payload: toBase64url(bytes(payloads[1] ?? "").subarray(0, 3 + 512 + 16 + 12 + 15)),
  },
];
const malformed = [];
for (const [name, content] of MALFORMED_SNAPSHOTS) {
  const { payload } = await sealBytes(rival, place, content, SNAPSHOT_VERSION);
  malformed.push({ name, payload });
}

write("envelope-snapshot.json", {
  note: "Two operations of a client with a snapshot between them, and snapshots in its place that a receiver refuses. The key is that of envelope.json. See ENVELOPE.md.",
  client_id: CONTINUING,
  continues: continues.map(({ client, index, tags }) => ({
    client_id: client,
    operation_index: index,
    tags: [tags],
  })),
  state: toBase64url(utf8("Buy milk. Buy bread.")),
  positions: cursors.map((cursor) => ({
    ...placeOf(cursor),
    continues: (cursor.continues ?? []).map((one) => ({
      client_id: one.client,
      operation_index: one.index,
      tags: [one.tags],
    })),
  })),
  operations,
  refusals,
  malformed,
  after_another: (await seal(elsewhere, other, contents[1] ?? assert.fail())).payload,
});
