import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  type Fingerprint,
  formatMarker,
  formatName,
  isFingerprint,
  type ObjectName,
  parseMarker,
  parseName,
  userPrefix,
} from "../../oplog/names.ts";
import { partitionOf } from "../../storage/driver.ts";

const LAST_INDEX = Number.MAX_SAFE_INTEGER;

const fingerprint = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString("base64url"))
  .filter(isFingerprint);
const client = fc.uuid();
const index = fc.oneof(
  fc.constantFrom(0, 1, 9, 10, 99, 2 ** 31, 2 ** 32, LAST_INDEX - 1, LAST_INDEX),
  fc.integer({ min: 0, max: LAST_INDEX }),
);
const md5 = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString("hex"));

/** One operation, or the several of a segment. */
const span = fc.oneof(
  index.map((first) => ({ first, last: first })),
  fc
    .tuple(index, index)
    .filter(([a, b]) => a !== b)
    .map(([a, b]) => ({ first: Math.min(a, b), last: Math.max(a, b) })),
);

const crc32 = fc
  .uint8Array({ minLength: 4, maxLength: 4 })
  .map((bytes) => Buffer.from(bytes).toString("hex"));

function nameOf(users: fc.Arbitrary<Fingerprint>, clients = client): fc.Arbitrary<ObjectName> {
  return fc
    .record({ user: users, client: clients, span, md5, crc32: fc.option(crc32) })
    .map(({ span, crc32, ...name }) => {
      const isSegment = span.first < span.last;
      return { ...name, ...span, ...(isSegment && crc32 !== null && { crc32 }) };
    });
}

const USER = "Zk3vN0s-xA_b9cD1eF2gH3iJ4kL5mN6oP7qR8sT9uV0";
const CLIENT = "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11";
const INDEX = "0000000000000007";
const MD5 = "9e107d9d372bb6826bd81d3542a419d6";
const NAME = `${USER}.${CLIENT}.${INDEX}.${MD5}`;
const LAST = "0000000000000011";
const CRC32 = "0d4a1185";
const SEGMENT = `${USER}.${CLIENT}.${INDEX}-${LAST}.${MD5}.${CRC32}`;

describe("object names", () => {
  it("are the user's fingerprint, the client, the padded index and the MD5", () => {
    const name = parseName(NAME);
    assert.deepEqual(name, { user: USER, client: CLIENT, first: 7, last: 7, md5: MD5 });
    assert.equal(name && formatName(name), NAME);
  });

  it("of segments have the first and the last index, and the CRC-32", () => {
    const name = parseName(SEGMENT);
    const parts = { user: USER, client: CLIENT, first: 7, last: 11, md5: MD5, crc32: CRC32 };
    assert.deepEqual(name, parts);
    assert.equal(name && formatName(name), SEGMENT);
  });

  it("of segments may lack the CRC-32, as earlier versions stored them", () => {
    const text = SEGMENT.replace(`.${CRC32}`, "");
    const name = parseName(text);
    assert.deepEqual(name, { user: USER, client: CLIENT, first: 7, last: 11, md5: MD5 });
    assert.equal(name && formatName(name), text);
  });

  it("come back from text as they went in", () => {
    fc.assert(
      fc.property(nameOf(fingerprint), (name) => {
        assert.deepEqual(parseName(formatName(name)), name);
      }),
    );
  });

  it("are in byte order by client, by first index, segments before single operations, and by last index", () => {
    const pair = fingerprint.chain((user) => {
      const someName = nameOf(fc.constant(user), fc.oneof(client, fc.constantFrom(CLIENT)));
      // Often equal in the first parts, so that the later parts decide.
      const alike = fc
        .tuple(someName, someName, fc.boolean())
        .map(([a, b, isSame]) => {
          const same = { client: a.client, first: a.first };
          return [a, { ...b, ...same, ...(isSame && { last: a.last, md5: a.md5 }) }] as const;
        })
        .filter(([, { first, last, crc32 }]) => first < last || (first === last && !crc32));
      return fc.oneof(fc.tuple(someName, someName), alike);
    });
    fc.assert(
      fc.property(pair, ([a, b]) => {
        const byName = Buffer.compare(Buffer.from(formatName(a)), Buffer.from(formatName(b)));
        const byClient = Buffer.compare(Buffer.from(a.client), Buffer.from(b.client));
        const single = ({ first, last }: ObjectName) => (first === last ? 1 : 0);
        const expected =
          byClient ||
          Math.sign(a.first - b.first) ||
          single(a) - single(b) ||
          Math.sign(a.last - b.last) ||
          // Two payloads under one index are in the order of their hashes.
          Buffer.compare(Buffer.from(a.md5), Buffer.from(b.md5)) ||
          Buffer.compare(Buffer.from(a.crc32 ?? ""), Buffer.from(b.crc32 ?? ""));
        assert.equal(byName, expected);
      }),
    );
  });

  const malformed: [string, string][] = [
    ["nothing", ""],
    ["a fingerprint that is one character short", NAME.slice(1)],
    ["a fingerprint that is one character long", `A${NAME}`],
    ["a character that is not base64url", NAME.replace("Z", "+")],
    ["a leading dot", `.${NAME}`],
    ["a leading folder", `data/${NAME}`],
    ["a client id in upper case", NAME.replace(CLIENT, CLIENT.toUpperCase())],
    ["a client id without dashes", NAME.replace(CLIENT, CLIENT.replaceAll("-", ""))],
    ["a client id that is one digit short", NAME.replace(CLIENT, CLIENT.slice(1))],
    ["no client id", `${USER}.${INDEX}.${MD5}`],
    ["an index of 15 digits", NAME.replace(INDEX, INDEX.slice(1))],
    ["an index of 17 digits", NAME.replace(INDEX, `0${INDEX}`)],
    ["an index that is not padded", NAME.replace(INDEX, "7")],
    ["an index in hex", NAME.replace(INDEX, "000000000000000a")],
    ["a negative index", NAME.replace(INDEX, "-000000000000007")],
    ["an index with a space", NAME.replace(INDEX, " 000000000000007")],
    ["index 2^53", NAME.replace(INDEX, "9007199254740992")],
    ["the highest index of 16 digits", NAME.replace(INDEX, "9999999999999999")],
    ["an MD5 in upper case", NAME.replace(MD5, MD5.toUpperCase())],
    ["an MD5 that is one digit short", NAME.slice(0, -1)],
    ["an MD5 that is one digit long", `${NAME}0`],
    ["no MD5", `${USER}.${CLIENT}.${INDEX}`],
    ["a further part", `${NAME}.tmp`],
    ["a CRC-32 of a single operation", `${NAME}.${CRC32}`],
    ["a CRC-32 in upper case", SEGMENT.replace(CRC32, CRC32.toUpperCase())],
    ["a CRC-32 that is one digit short", SEGMENT.slice(0, -1)],
    ["a CRC-32 that is one digit long", `${SEGMENT}0`],
    ["no MD5 before the CRC-32", SEGMENT.replace(`.${MD5}`, "")],
    ["a second CRC-32", `${SEGMENT}.${CRC32}`],
    ["a trailing dot", `${NAME}.`],
    ["a trailing newline", `${NAME}\n`],
    ["a trailing space", `${NAME} `],
    ["another separator", NAME.replaceAll(".", "/")],
    ["a last index that is the first", SEGMENT.replace(LAST, INDEX)],
    ["a last index below the first", SEGMENT.replace(LAST, "0000000000000006")],
    ["a last index of 15 digits", SEGMENT.replace(LAST, LAST.slice(1))],
    ["a last index of 17 digits", SEGMENT.replace(LAST, `0${LAST}`)],
    ["no last index after the dash", SEGMENT.replace(LAST, "")],
    ["no first index before the dash", SEGMENT.replace(INDEX, "")],
    ["a third index", SEGMENT.replace(LAST, `${LAST}-0000000000000012`)],
    ["the last index 2^53", SEGMENT.replace(LAST, "9007199254740992")],
    [
      "both indexes above 2^53",
      SEGMENT.replace(INDEX, "9007199254740992").replace(LAST, "9007199254740994"),
    ],
    ["two names in one", `${NAME}\n${NAME}`],
  ];
  for (const [what, text] of malformed) {
    it(`are not parsed with ${what}`, () => {
      assert.equal(parseName(text), undefined);
    });
  }

  it("are parsed with the last index there is", () => {
    assert.equal(parseName(NAME.replace(INDEX, "9007199254740991"))?.first, LAST_INDEX);
    assert.equal(parseName(SEGMENT.replace(LAST, "9007199254740991"))?.last, LAST_INDEX);
  });
});

describe("the names of markers", () => {
  it("are the user's fingerprint, what is marked, and when", () => {
    const user = USER as Fingerprint;
    assert.equal(formatMarker({ kind: "signed", user }), `${USER}.signed`);
    const erased = { kind: "erased", user, at: 1_800_000_000 } as const;
    assert.equal(formatMarker(erased), `${USER}.erased.0000001800000000`);
  });

  it("come back from text as they went in, and are no names of operations", () => {
    const marker = fc
      .oneof(
        fc.record({ kind: fc.constant("signed" as const), user: fingerprint }),
        fc.record({ kind: fc.constant("erased" as const), user: fingerprint, at: index }),
      )
      .map((marker) => ({ ...marker }));
    fc.assert(
      fc.property(marker, (marker) => {
        assert.deepEqual(parseMarker(formatMarker(marker)), marker);
        assert.equal(parseName(formatMarker(marker)), undefined);
        assert.ok(formatMarker(marker).startsWith(userPrefix(marker.user)));
      }),
    );
  });

  const malformed = [
    "",
    USER,
    "signed",
    `${USER}.`,
    `${USER}.Signed`,
    `${USER}.signed.`,
    `${USER}.signed.0000001800000000`,
    `${USER}.erased`,
    `${USER}.erased.1800000000`,
    `${USER}.erased.9999999999999999`,
    `${USER}.erased.0000001800000000.x`,
    `A${USER}.signed`,
    `${USER.slice(1)}.signed`,
    `${USER}.signed\n`,
    NAME,
  ];
  for (const text of malformed) {
    it(`are not parsed from ${JSON.stringify(text)}`, () => {
      assert.equal(parseMarker(text), undefined);
    });
  }
});

describe("the prefix of a user", () => {
  it("T-29 begins all names of the user, and no name of another user", () => {
    fc.assert(
      fc.property(nameOf(fingerprint), (name) => {
        const { user } = name;
        // Equal up to the last character.
        const other = user.slice(0, -1) + (user.endsWith("A") ? "E" : "A");
        assert.ok(formatName(name).startsWith(userPrefix(user)));
        assert.ok(isFingerprint(other) && !formatName(name).startsWith(userPrefix(other)));
      }),
    );
  });

  it("makes each user a partition of the storage", () => {
    fc.assert(
      fc.property(nameOf(fingerprint), (name) => {
        assert.equal(partitionOf(formatName(name)), name.user);
        assert.equal(partitionOf(userPrefix(name.user)), name.user);
      }),
    );
  });
});

describe("a fingerprint", () => {
  it("is 43 characters of base64url and nothing else", () => {
    assert.ok(isFingerprint(USER));
    for (const text of ["", USER.slice(1), `${USER}A`, `${USER}\n`, USER.replace("Z", "=")]) {
      assert.ok(!isFingerprint(text), JSON.stringify(text));
    }
  });
});
