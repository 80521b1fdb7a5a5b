import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { hasPreference, preferredWait } from "../../server/http/prefer.ts";

describe("the preference wait", () => {
  const read: readonly (readonly [string, number | undefined])[] = [
    ["wait=25", 25],
    ["wait=0", 0],
    ["WAIT = 7", 7],
    ["respond-async, wait=10", 10],
    ["wait=10; strict", 10],
    ["\twait=10 ,", 10],
    ["wait=3, wait=9", 3],
    ["wait=soon, wait=9", undefined],
    ['note="a, wait=5", wait=6', 6],
    ['note="a\\", wait=5", wait=6', 6],
    ['note="a, wait=5', undefined],
    ["respond-async;wait=5", undefined],
    ['wait="5"', undefined],
    ["wait", undefined],
    ["wait=", undefined],
    ["wait=-1", undefined],
    ["wait=1.5", undefined],
    ["wait=1e3", undefined],
    ["wait=5=6", undefined],
    ["waits=5", undefined],
    ["", undefined],
    [",;=", undefined],
  ];
  for (const [field, seconds] of read) {
    it(`of ${JSON.stringify(field)} is ${seconds ?? "none"}`, () => {
      assert.equal(preferredWait(field), seconds);
    });
  }

  it("is a number of seconds or none, whatever the field is", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'wait=0 9,;"\\\t') }), (field) => {
        const seconds = preferredWait(field);
        assert.ok(seconds === undefined || seconds >= 0);
      }),
    );
  });
});

describe("hasPreference", () => {
  it("finds a preference among others, and not within the value of one", () => {
    for (const field of ["diagnose", "wait=5, Diagnose", "diagnose;a=b", "diagnose=1"]) {
      assert.ok(hasPreference(field, "diagnose"), field);
    }
    for (const field of ["", "diagnosed", 'note="diagnose"', 'note="a, diagnose"', "a;diagnose"]) {
      assert.ok(!hasPreference(field, "diagnose"), field);
    }
  });
});
