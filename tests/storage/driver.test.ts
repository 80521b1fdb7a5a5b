import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkName, md5Of, partitionOf } from "../../storage/driver.ts";

describe("the rules of object names", () => {
  it("put into a partition the text before the first dot", () => {
    assert.equal(partitionOf("user.client.7"), "user");
    assert.equal(partitionOf("user."), "user");
    assert.equal(partitionOf("user"), "user");
    assert.equal(partitionOf(""), "");
  });

  it("accept what every driver can store, and nothing else", () => {
    for (const name of ["a", "-", "_.", "a..b", "A-Z.a_z.0-9", "x".repeat(255)]) checkName(name);
    for (const name of ["", ".", ".a", "a/b", "a b", "ä", "a\n", "x".repeat(256)]) {
      assert.throws(() => checkName(name), TypeError, JSON.stringify(name));
    }
  });
});

describe("the MD5 of a body", () => {
  it("is in lower-case hex", () => {
    assert.equal(md5Of(new Uint8Array()), "d41d8cd98f00b204e9800998ecf8427e");
    assert.equal(md5Of(new TextEncoder().encode("payload")), "321c3cf486ed509164edec1e1981fec8");
  });
});
