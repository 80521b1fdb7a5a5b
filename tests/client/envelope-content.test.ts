/** What is encrypted in an envelope: entries, heads, and which client ids are continued. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import fc from "fast-check";
import { Malformed } from "../../client/binary.ts";
import { type Content, contentBytes, contentOf, entryLength } from "../../client/content.ts";
import {
  beginSession,
  NO_PREVIOUS,
  originOf,
  type Sealed,
  type Session,
  seal,
  sealBytes,
} from "../../client/envelope.ts";
import { entriesOf } from "../../client/operation.ts";
import type { Continues, Head, Identity } from "../../client/types.ts";
import { RunVerifier } from "../../client/verify.ts";
import { toBase64url } from "../../protocol/base64.ts";
import { type Bytes, concat, textOf, utf8, uuidOf } from "../../protocol/bytes.ts";
import { MAX_INDEX } from "../../protocol/ids.ts";
import { newIdentity } from "../support/private-keys.ts";
import { share, sharedPositions } from "../support/share.ts";
import { newClient } from "../support/users.ts";
import { MALFORMED } from "../vectors/malformed.ts";

/** Lengths of entries, and how many bytes say each. */
const LENGTHS = [
  [0, 1],
  [127, 1],
  [128, 2],
  [16_383, 2],
  [16_384, 3],
  [2_097_151, 3],
  [2_097_152, 4],
] as const;

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const place = { client: bytesOf(16).map(uuidOf), index: fc.maxSafeNat() };
const head: fc.Arbitrary<Head> = fc.record(
  { ...place, tag: bytesOf(16).map(toBase64url) },
  { noNullPrototype: true },
);
const tags = fc.nat(5).chain((count) => bytesOf(15 * count).map(toBase64url));
const continued: fc.Arbitrary<Continues> = fc.record({ ...place, tags }, { noNullPrototype: true });
const entry = fc.oneof(fc.uint8Array({ maxLength: 40 }), bytesOf(127), bytesOf(128));
const fewHeads = fc.array(head, { maxLength: 3 });
const manyHeads = fc.constant(headsOf(255));
const anyContent = contentWith(fc.oneof(fewHeads, manyHeads));

/** Content without parts that are there and empty. */
function contentWith(someHeads: fc.Arbitrary<Head[]>): fc.Arbitrary<Content> {
  return fc
    .record({
      entries: fc.array(entry, { maxLength: 5 }),
      continues: fc.array(continued, { maxLength: 3 }),
      heads: someHeads,
    })
    .map(({ entries, continues, heads }) => ({
      entries,
      ...(continues.length > 0 && { continues }),
      ...(heads.length > 0 && { heads }),
    }));
}

function headsOf(count: number): Head[] {
  const tag = toBase64url(new Uint8Array(16).fill(7));
  return Array.from({ length: count }, (_, i) => ({ client: newClient(), index: i, tag }));
}

/** The content that bytes are, or `undefined` where they are malformed. Throws nothing else. */
function contentOrNothing(bytes: Bytes): Content | undefined {
  try {
    return contentOf(bytes);
  } catch (error) {
    assert.ok(error instanceof Malformed, String(error));
    return undefined;
  }
}

describe("the content of an envelope", () => {
  it("comes back as it was, with any entries, heads and client ids continued", () => {
    const property = fc.property(anyContent, (content) => {
      assert.deepEqual(contentOf(contentBytes(content)), content);
    });
    fc.assert(property, { numRuns: share(300) });
  });

  it("has entries of any length, and says each in as few bytes as it needs", () => {
    for (const [length, lengthBytes] of LENGTHS) {
      const data = new Uint8Array(length).fill(7);
      const alone = contentBytes({ entries: [data] });
      assert.equal(alone.length, 1 + lengthBytes + length);
      assert.equal(1 + entryLength(length), alone.length);
      const entries = [utf8("before"), data, utf8("after")];
      assert.deepEqual(contentOf(contentBytes({ entries })), { entries });
    }
  });

  it("writes a length with the lowest bits first", () => {
    const bytes = contentBytes({ entries: [new Uint8Array(300)] });
    assert.deepEqual([...bytes.subarray(0, 4)], [0, 0b1010_1100, 0b0000_0010, 0]);
  });

  it("is one byte where there is nothing in it", () => {
    assert.deepEqual(contentBytes({ entries: [] }), Uint8Array.of(0));
    assert.deepEqual(contentOf(Uint8Array.of(0)), { entries: [] });
  });

  it("reads a length that is written with more bytes than it needs, up to four", () => {
    const data = utf8("entry");
    for (const length of [[5], [133, 0], [133, 128, 0], [133, 128, 128, 0]]) {
      assert.deepEqual(contentOf(Uint8Array.of(0, ...length, ...data)), { entries: [data] });
    }
  });

  it("keeps its entries apart from the bytes that it was read from", () => {
    const bytes = contentBytes({ entries: [utf8("kept")] });
    const { entries } = contentOf(bytes);
    bytes.fill(0);
    assert.deepEqual(entries.map(textOf), ["kept"]);
  });

  it("is malformed in every way that the vectors have", () => {
    for (const [what, bytes] of MALFORMED) {
      assert.equal(contentOrNothing(bytes), undefined, what);
    }
  });

  it("is malformed with any bit in its first byte that has no meaning", () => {
    for (let first = 4; first < 256; first++) {
      assert.equal(contentOrNothing(Uint8Array.of(first, 0, 0)), undefined, `${first}`);
    }
  });

  // With 255 heads there are thousands of places to cut, and as much to compare at each.
  for (const [what, someHeads, runs] of [
    ["", fewHeads, share(60)],
    [" and many heads", manyHeads, 1],
  ] as const) {
    it(`is malformed where it is cut, or has only its first entries${what}`, () => {
      const property = fc.property(contentWith(someHeads), (content) => {
        const bytes = contentBytes(content);
        for (const length of sharedPositions(bytes.length)) {
          const cut = contentOrNothing(bytes.subarray(0, length));
          if (cut === undefined) continue;
          assert.ok(cut.entries.length < content.entries.length, `${length} bytes`);
          const entries = content.entries.slice(0, cut.entries.length);
          assert.deepEqual(cut, { ...content, entries });
          assert.equal(contentBytes(cut).length, length);
        }
      });
      fc.assert(property, { numRuns: runs });
    });
  }

  it("is content or malformed, whatever the bytes are", () => {
    const first = fc.oneof(fc.nat(3), fc.nat(255));
    const property = fc.property(first, fc.uint8Array({ maxLength: 300 }), (has, rest) => {
      const content = contentOrNothing(concat(Uint8Array.of(has), rest));
      if (content !== undefined) assert.ok(has <= 3);
    });
    fc.assert(property, { numRuns: share(1000) });
  });

  it("is content or malformed where a byte of it is altered", () => {
    const property = fc.property(anyContent, fc.nat(), fc.nat(255), (content, at, byte) => {
      const bytes = contentBytes(content);
      contentOrNothing(bytes.with(at % bytes.length, byte));
    });
    fc.assert(property, { numRuns: share(300) });
  });
});

describe("an operation", () => {
  const client = newClient();
  const heads: Head[] = [
    ...headsOf(2),
    { client: newClient(), index: MAX_INDEX, tag: toBase64url(NO_PREVIOUS) },
  ];
  const entries = ["one", "", "a longer entry ".repeat(12)].map((text) => utf8(text));
  let identity: Identity;
  let session: Session;
  let zero: Sealed;
  before(async () => {
    identity = await newIdentity();
    session = await beginSession(identity, placeOf(0, NO_PREVIOUS));
    zero = await seal(session, placeOf(0, NO_PREVIOUS), { entries: [utf8("zero")] });
  });
  const placeOf = (index: number, previous: Bytes) => ({
    origin: originOf(identity, client),
    index,
    previous,
  });
  const sealOne = (content: Content) => seal(session, placeOf(1, zero.tag), content);
  const open = (payloads: readonly string[]) => {
    const lines = payloads.map((payload, index) => ({ client, index, payload }));
    return new RunVerifier(identity).verify(client, lines, undefined);
  };

  it("opens with all its entries and heads, each entry in its position", async () => {
    const one = await sealOne({ entries, heads });
    const { operations, refusal } = await open([zero.payload, one.payload]);
    assert.equal(refusal, undefined);
    assert.deepEqual(operations[1]?.content, { entries, heads });
    assert.deepEqual(
      entriesOf(operations).map(({ index, position, data }) => [index, position, textOf(data)]),
      [
        [0, 0, "zero"],
        [1, 0, "one"],
        [1, 1, ""],
        [1, 2, "a longer entry ".repeat(12)],
      ],
    );
  });

  it("can have no entry, and many", async () => {
    for (const content of [
      { entries: [] },
      { entries: [], heads },
      { entries: Array.from({ length: 5000 }, (_, i) => utf8(`${i}`)), heads: headsOf(255) },
    ]) {
      const one = await sealOne(content);
      const { operations, cursor } = await open([zero.payload, one.payload]);
      assert.deepEqual(operations[1]?.content, content);
      assert.equal(cursor?.index, 1);
    }
  });

  it("is refused when any byte of its entries and heads is altered", async () => {
    const one = Buffer.from((await sealOne({ entries, heads })).payload, "base64url");
    for (const at of sharedPositions(one.length)) {
      const altered = one.with(at, (one[at] ?? 0) ^ (1 << (at % 8)));
      const { operations, refusal } = await open([zero.payload, toBase64url(altered)]);
      assert.equal(operations.length, 1);
      const kind = at === 0 ? "other version" : "forged";
      assert.deepEqual(refusal, { kind, client, index: 1 }, `byte ${at}`);
    }
  });

  it("delivers none of its entries where its content ends within one of them", async () => {
    const content = contentBytes({ entries, heads });
    const one = await sealBytes(session, placeOf(1, zero.tag), content.subarray(0, -1));
    const { operations, unreadable, cursor } = await open([zero.payload, one.payload]);
    assert.equal(operations.length, 1);
    assert.deepEqual(unreadable, [{ kind: "unreadable", client, index: 1 }]);
    assert.equal(cursor?.index, 1);
  });

  it("has as many characters as ENVELOPE.md says", async () => {
    const lengths: number[] = [];
    for (const count of [1, 2, 3, 4]) {
      const data = Array.from({ length: count }, () => new Uint8Array(200));
      lengths.push((await sealOne({ entries: data })).payload.length);
    }
    assert.deepEqual(lengths, [312, 312 + 270, 312 + 270 + 269, 312 + 270 + 269 + 269]);
  });
});
