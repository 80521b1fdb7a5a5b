/** The lines of a response, however they are cut into chunks. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { utf8 } from "../../protocol/bytes.ts";
import { formatLine, LineSplitter, parseLine } from "../../protocol/ndjson.ts";

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
