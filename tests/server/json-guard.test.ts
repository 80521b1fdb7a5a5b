import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { checkJsonComplexity } from "../../server/http/json-guard.ts";
import { newClient } from "../support/users.ts";

const LARGE = 64 * 1024;
const encode = (text: string) => new TextEncoder().encode(text);
const faultOf = (text: string) => checkJsonComplexity(encode(text))?.detail;

const tooMany = /no more than 3 objects and arrays in all/;
const tooManyValues = /more values than a sync request can have/;

describe("a large body", () => {
  const blank = " ".repeat(LARGE);

  const wrong: [string, string, RegExp][] = [
    ["arrays within arrays", "[".repeat(LARGE + 1), tooMany],
    ["objects in a batch", `{"payload":[${"{},".repeat(LARGE)}{}]}`, tooMany],
    ["a fourth array", `{"a":[],"b":[],"c":[${blank}]}`, tooMany],
    ["numbers", `[${"0,".repeat(LARGE)}0]`, tooManyValues],
    ["members", `{${'"a":0,'.repeat(LARGE)}"a":0}`, tooManyValues],
    ["empty payloads", `{"payload":[${'"",'.repeat(LARGE)}""]}`, tooManyValues],
    ["commas after an escaped backslash", `["\\\\",${",".repeat(LARGE)}]`, tooManyValues],
  ];
  for (const [what, text, rule] of wrong) {
    it(`is refused when it is made of ${what}`, () => assert.match(faultOf(text) ?? "", rule));
  }

  it("is not checked for being JSON", () => {
    for (const text of [blank, `"${blank}`, `"${blank}\\`, `{"a":"\\"${blank}`, `"\\u${blank}`]) {
      assert.equal(faultOf(text), undefined);
    }
  });

  it("may have any number of brackets and commas within its strings", () => {
    for (const piece of ["[{,", '[\\"{,', "\\\\[{,", '\\\\\\"[{,', '\\u005b[{,\\"']) {
      assert.equal(faultOf(`{"payload":["${piece.repeat(LARGE)}"],"user":"x"}`), undefined);
    }
  });

  it("may hold as many payloads and clients as a request can have", () => {
    const payload = Array.from({ length: 10_000 }, () => "p");
    const sync_status = Object.fromEntries(
      Array.from({ length: 50_000 }, () => [newClient(), 0] as const),
    );
    const request = { user: "x", client_id: newClient(), operation_index: 0, payload, sync_status };
    assert.equal(faultOf(JSON.stringify(request)), undefined);
    // In their shortest spelling, entries take 41 bytes.
    const entries = `{"sync_status":${JSON.stringify(sync_status)}}`;
    assert.equal(faultOf(entries), undefined);
  });

  it("is accepted whatever its strings are, if it has the shape of a request", () => {
    const text = fc.string({ unit: "binary", maxLength: 50 });
    fc.assert(
      fc.property(fc.array(text), text, (payload, user) => {
        const request = { user, payload: [...payload, "p".repeat(LARGE)] };
        assert.equal(faultOf(JSON.stringify(request)), undefined);
      }),
    );
  });

  it("is refused with one object too many, whatever strings stand before it", () => {
    const text = fc.string({ unit: "binary", maxLength: 50 });
    fc.assert(
      fc.property(fc.array(text), (payload) => {
        const request = { sync_status: {}, payload: [...payload, "p".repeat(LARGE), {}] };
        assert.match(faultOf(JSON.stringify(request)) ?? "", tooMany);
      }),
    );
  });
});

describe("a short body", () => {
  it("is not checked: the parser reports its faults one by one", () => {
    assert.equal(faultOf("[".repeat(LARGE)), undefined);
  });
});
