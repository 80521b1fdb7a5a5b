/** The lines of a response, however they are cut into chunks. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { utf8 } from "../../protocol/bytes.ts";
import { isClientId, isOperationIndex } from "../../protocol/ids.ts";
import { formatLine, formatLines, LineSplitter, parseLine } from "../../protocol/ndjson.ts";
import type { Line } from "../../protocol/types.ts";

const CLIENT = "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11";

function* chunksOf(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe("a splitter of lines", () => {
  const lines = ["", "é", "one", "\u{1f4a7}\u{1f4a7}", "", "last"];
  const bytes = utf8(`${lines.join("\n")}\nrest`);

  for (let size = 1; size <= bytes.length; size++) {
    it(`finds the lines in chunks of ${size} bytes`, () => {
      const splitter = new LineSplitter();
      const found = [...chunksOf(bytes, size)].flatMap((chunk) => splitter.push(chunk));
      assert.deepEqual(found, lines);
      assert.equal(splitter.rest, 4);
    });
  }

  it("finds lines of any length in a chunk of any length", () => {
    const part = 64 * 1024;
    const lengths = [
      0,
      part - 2,
      0,
      part - 1,
      part,
      3 * part,
      1,
      part + 1,
      100,
      part / 2,
      part / 2,
    ];
    const long = [...lengths.map((length) => "é".repeat(length / 2)), ...Array(part + 1).fill("")];
    assert.deepEqual(new LineSplitter().push(utf8(`${long.join("\n")}\n`)), long);
  });

  // In time that grows with the square of the length, this takes many minutes.
  it("takes a line of 16 MiB in chunks of 256 bytes", { timeout: 100_000 }, () => {
    const payload = "x".repeat(16 * 1024 * 1024);
    const splitter = new LineSplitter();
    const whole = utf8(formatLine(CLIENT, 0, payload));
    const found = [...chunksOf(whole, 256)].flatMap((chunk) => splitter.push(chunk));
    assert.equal(found.length, 1);
    assert.equal(parseLine(found[0] ?? "")?.payload, payload);
    assert.equal(splitter.rest, 0);
  });

  it("refuses bytes that are not UTF-8", () => {
    assert.throws(() => new LineSplitter().push(Uint8Array.of(0x41, 0xff, 0x0a)), TypeError);
  });
});

/** The definition: a line is JSON with these three members. */
function defined(text: string): Line | undefined {
  try {
    const { client_id: client, operation_index: index, payload } = JSON.parse(text);
    const isLine = isClientId(client) && isOperationIndex(index) && typeof payload === "string";
    return isLine ? { client, index, payload } : undefined;
  } catch {
    return undefined;
  }
}

describe("a line", () => {
  const payload = fc.string({ unit: fc.constantFrom(...'aZ09_-+/="\\\n\t \u2028\u00e9\ud800') });
  const index = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 9, 10 ** 14, 10 ** 15, 2 ** 53 - 1));

  it("is parsed into what it was formatted from", () => {
    fc.assert(
      fc.property(index, payload, (at, text) => {
        const line = formatLine(CLIENT, at, text).slice(0, -1);
        assert.deepEqual(parseLine(line), { client: CLIENT, index: at, payload: text });
      }),
    );
  });

  it("is the same among several, whether or not some of them have escapes", () => {
    const plain = fc.string({ unit: fc.constantFrom(..."aZ09_-+/=\u2028\u00e9") });
    const some = fc.oneof(fc.array(plain), fc.array(payload), fc.array(fc.oneof(plain, payload)));
    fc.assert(
      fc.property(fc.nat(), some, (first, payloads) => {
        const each = payloads.map((payload, i) => formatLine(CLIENT, first + i, payload));
        assert.equal(formatLines(CLIENT, first, payloads), each.join(""));
      }),
      { numRuns: 1000 },
    );
  });

  it("is parsed as JSON is where a character of it is another", () => {
    const line = formatLine(CLIENT, 1234, "aZ09_-").slice(0, -1);
    const other = fc.constantFrom("", ...'0-.e"\\{}[]:, \t\u0000\u007f\u00e9\u0141Gg+/=_');
    fc.assert(
      fc.property(fc.nat({ max: line.length }), other, (at, one) => {
        for (const end of [at, at + 1]) {
          const changed = line.slice(0, at) + one + line.slice(end);
          assert.deepEqual(parseLine(changed), defined(changed), changed);
        }
      }),
      { numRuns: 2000 },
    );
  });

  for (const digits of ["-0", "01", "1e3", "1.0", "9007199254740992", "99999999999999999999"]) {
    it(`is parsed as JSON is where its index is ${digits}`, () => {
      const text = `{"client_id":"${CLIENT}","operation_index":${digits},"payload":"x"}`;
      assert.deepEqual(parseLine(text), defined(text));
    });
  }
});

describe("the line of a snapshot", () => {
  const plain = formatLine(CLIENT, 3, "state").trim().slice(0, -1);
  const of = (snapshot: unknown) => parseLine(`${plain},"snapshot":${JSON.stringify(snapshot)}}`);

  it("says what it covers", () => {
    const covers = { [CLIENT]: 2, "8e1d0c5a-3f0b-4b8e-9d3e-2f6f1f7b9c22": 0 };
    assert.deepEqual(of({ covers }), { client: CLIENT, index: 3, payload: "state", covers });
    assert.deepEqual(of({ covers: {} })?.covers, {});
  });

  it("is no operation where that has another form", () => {
    const clients = [{ x: 1 }, { [CLIENT.toUpperCase()]: 1 }];
    const indexes = [-1, 1.5, "1", null].map((index) => ({ [CLIENT]: index }));
    for (const covers of [...clients, ...indexes]) assert.equal(of({ covers }), undefined);
    for (const snapshot of [null, 1, "covers", [], {}, { covers: null }, { covers: 3 }]) {
      assert.equal(of(snapshot), undefined, JSON.stringify(snapshot));
    }
  });
});
