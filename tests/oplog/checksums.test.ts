import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isIntact, segmentChecksums } from "../../oplog/checksums.ts";
import { md5Of } from "../../storage/driver.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

describe("the checksums in names", () => {
  it("of a segment are its MD5 and its CRC-32, in hex with leading zeros", () => {
    // The first is the check value of CRC-32/ISO-HDLC.
    assert.equal(segmentChecksums(bytes("123456789")).crc32, "cbf43926");
    assert.equal(segmentChecksums(bytes("segment 13")).crc32, "03e956cb");
    const md5 = "25f9e794323b453885f5181f1b624d0b";
    assert.equal(segmentChecksums(bytes("123456789")).md5, md5);
  });

  it("show every changed bit, every cut and every addition, with a CRC-32 and without", () => {
    const body = bytes("the lines of a segment\nand another\n");
    for (const checksums of [segmentChecksums(body), { md5: md5Of(body) }]) {
      assert.ok(isIntact(body, checksums));
      for (let bit = 0; bit < body.byteLength * 8; bit++) {
        const changed = body.slice();
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        assert.ok(!isIntact(changed, checksums), `bit ${bit}`);
      }
      for (let end = 0; end < body.byteLength; end++) {
        assert.ok(!isIntact(body.subarray(0, end), checksums), `${end} bytes`);
      }
      assert.ok(!isIntact(Buffer.concat([body, new Uint8Array(1)]), checksums));
      assert.ok(!isIntact(new Uint8Array(body.byteLength), checksums));
    }
  });

  it("show what a disk leaves of a body: a block of zeros, another block, or two exchanged", () => {
    const block = 512;
    const body = fc.uint8Array({ minLength: 4 * block, maxLength: 4 * block });
    fc.assert(
      fc.property(body, fc.nat(3), fc.nat(3), (body, a, b) => {
        const checksums = segmentChecksums(body);
        const of = (i: number) => body.subarray(i * block, (i + 1) * block);
        const zeroed = body.slice().fill(0, a * block, (a + 1) * block);
        const repeated = body.slice();
        repeated.set(of(b), a * block);
        const exchanged = body.slice();
        exchanged.set(of(a), b * block);
        exchanged.set(of(b), a * block);
        for (const damaged of [zeroed, repeated, exchanged]) {
          assert.equal(isIntact(damaged, checksums), Buffer.compare(damaged, body) === 0);
        }
      }),
    );
  });
});
