import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { hiddenIssue, inspectJson } from "../../server/http/json-guard.ts";
import { inProcessServer } from "../support/signing.ts";
import { newClient, newUser } from "../support/users.ts";

const LARGE = 64 * 1024;
const encode = (text: string) => new TextEncoder().encode(text);
const MAX_CLIENTS = 50_000;
const faultOf = (text: string) => inspectJson(encode(text), MAX_CLIENTS).tooComplex?.detail;

/** What parsing hides of a document. */
const hiddenIn = (text: string) =>
  hiddenIssue(inspectJson(encode(text), MAX_CLIENTS), JSON.parse(text))?.detail;

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

  it("T-42 is refused before it is parsed when its sync status has more clients than a user can have", () => {
    const clients = (number: number) => {
      const entries = Array.from({ length: number }, () => `"${newClient()}":0`);
      return `{"sync_status":{${entries.join(",")}}}`;
    };
    const { tooComplex } = inspectJson(encode(clients(MAX_CLIENTS + 6)), MAX_CLIENTS);
    assert.deepEqual(tooComplex, {
      pointer: "#/sync_status",
      detail: "must name no more than 50000 clients",
    });
    assert.equal(faultOf(clients(MAX_CLIENTS)), undefined);
  });

  it(`may hold a snapshot that covers as many clients as a sync status names, and no more`, () => {
    const most = 2000;
    const clients = (number: number) =>
      Object.fromEntries(Array.from({ length: number }, () => [newClient(), 0] as const));
    const request = (number: number) =>
      JSON.stringify({
        sync_status: clients(most),
        snapshot: { covers: clients(number) },
        user: "x",
        client_id: newClient(),
        operation_index: 1,
        payload: "p",
        snapshots: true,
      });
    const complexityOf = (number: number) => inspectJson(encode(request(number)), most).tooComplex;
    assert.equal(complexityOf(most), undefined);
    assert.deepEqual(complexityOf(most + 6), {
      pointer: "#/snapshot/covers",
      detail: "must name no more than 2000 clients",
    });
    const twice = `{"a":{},"snapshot":{"covers":{}},"b":{},"c":"${blank}"}`;
    assert.match(faultOf(twice) ?? "", /no more than 4 objects and arrays in all/);
  });

  it("is accepted whatever its strings are, if it has the shape of a request", () => {
    const text = fc.string({ unit: "binary", maxLength: 50 });
    fc.assert(
      fc.property(fc.array(text), text, (payload, user) => {
        const request = { user, payload: [...payload, "p".repeat(LARGE)] };
        assert.equal(faultOf(JSON.stringify(request)), undefined);
      }),
      { numRuns: 100 },
    );
  });

  it("is refused with one object too many, whatever strings stand before it", () => {
    const text = fc.string({ unit: "binary", maxLength: 50 });
    fc.assert(
      fc.property(fc.array(text), (payload) => {
        const request = { sync_status: {}, payload: [...payload, "p".repeat(LARGE), {}] };
        assert.match(faultOf(JSON.stringify(request)) ?? "", tooMany);
      }),
      { numRuns: 100 },
    );
  });
});

describe("any body", () => {
  const twice = /a member twice/;
  const members: [string, RegExp | undefined][] = [
    ['{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}', undefined],
    ['{"a":1,"a":1}', twice],
    ['{"a":1,"\\u0061":1}', twice],
    ['{"__proto__":1,"constructor":1,"toString":1}', undefined],
    ['{"__proto__":1,"__proto__":1}', twice],
    ['{"s":{"a":1,"b":2,"a":3}}', twice],
    ['{"s":{"a":1},"s":{}}', twice],
    ['{":":":","\\":":[":"]}', undefined],
    ["[]", undefined],
    ["null", undefined],
  ];
  for (const [text, rule] of members) {
    it(`is ${rule === undefined ? "accepted" : "refused"} with the members of ${text}`, () => {
      assert.equal(rule === undefined, hiddenIn(text) === undefined, hiddenIn(text));
      if (rule !== undefined) assert.match(hiddenIn(text) ?? "", rule);
    });
  }

  const whole = "0 -0 7 7.0 70e-1 0.0e-9 1.5e1 1E400 0e-400 120e-1 9007199254740991 1.20e1".split(
    " ",
  );
  it("may have whole numbers in any form", () => {
    for (const numeral of whole) assert.equal(hiddenIn(`{"a":${numeral}}`), undefined, numeral);
  });

  const rounded =
    "1.0000000000000001 9007199254740990.5 -1.00000000000000001 1e-400 0.1e-330 9007199254740993.1 10000000000000000e-400 1.0000000000000000000000000000000000000000001";
  it("is refused with a number that is whole only once it is rounded", () => {
    for (const numeral of rounded.split(" ")) {
      for (const text of [`{"a":${numeral}}`, `[${numeral}]`, numeral, `{"s":{"a":${numeral}}}`]) {
        assert.match(
          hiddenIn(text) ?? "",
          /must have whole numbers, and [\d.e-]+…? is not one/,
          text,
        );
      }
    }
  });

  it("may have a number with a fraction, which its schema refuses by name", () => {
    for (const numeral of ["1.5", "0.1", "15e-1"]) assert.equal(hiddenIn(numeral), undefined);
  });

  it("is accepted as JSON writes any value", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        assert.equal(hiddenIn(JSON.stringify(value)), undefined, JSON.stringify(value));
      }),
    );
  });
});

describe("a short body", () => {
  it("is not checked: the parser reports its faults one by one", () => {
    assert.equal(faultOf("[".repeat(LARGE)), undefined);
  });
});

describe("a sync status", () => {
  it("may name 10,000 clients, and twice as many as QUOTA_CLIENTS says if that is more", async () => {
    const user = newUser().base64;
    const names = Array.from({ length: 12_010 }, newClient);
    for (const [quota, most, more] of [
      ["1", 10_000, 400],
      ["6000", 12_000, 400],
      ["0", 12_000, 200],
    ] as const) {
      const { send } = inProcessServer({ QUOTA_CLIENTS: quota });
      const ask = async (count: number) => {
        const sync_status = Object.fromEntries(names.slice(0, count).map((name) => [name, 0]));
        const body = JSON.stringify({ user, client_id: newClient(), sync_status });
        return (await send(body, { "Content-Type": "application/json" })).status;
      };
      assert.equal(await ask(most), 200, quota);
      assert.equal(await ask(most + 10), more, quota);
    }
  });
});
