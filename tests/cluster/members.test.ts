import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { EXPECTED_FOR_MS, Members } from "../../cluster/members.ts";

describe("what a server knows of the others", () => {
  let now: number;
  let members: Members;

  beforeEach(() => {
    now = 1_000_000;
    members = new Members({ id: "own", ttl: 10_000, now: () => now });
  });

  it("is complete once it has looked, and until it has not looked for three tenths of the TTL", () => {
    assert.equal(members.isComplete, false);
    members.looked(now, [{ id: "own", age: 0, sign: "1" }]);
    assert.equal(members.isComplete, true);
    now += 3000;
    assert.equal(members.isComplete, true);
    now += 1;
    assert.equal(members.isComplete, false);
    members.looked(now, []);
    assert.equal(members.isComplete, true);
  });

  it("misses a server that is silent for three tenths of the TTL, and no longer once it is back", () => {
    members.looked(now, [{ id: "other", age: 2000, sign: "2" }]);
    assert.deepEqual([members.isComplete, members.missing], [true, 0]);
    now += 1001;
    members.looked(now, [{ id: "other", age: 3001, sign: "3" }]);
    assert.deepEqual([members.isComplete, members.missing], [false, 1]);
    members.looked(now, [{ id: "other", age: 10, sign: "4" }]);
    assert.equal(members.isComplete, true);
  });

  it("counts a server as silent from when the question was asked, however late the answer is read", () => {
    const asked = now;
    now += 60_000;
    members.looked(asked, [{ id: "other", age: 0, sign: "5" }]);
    members.looked(now, [{ id: "other", age: 60_000, sign: "6" }]);
    assert.equal(members.isComplete, false);
  });

  it("misses a silent server although the clock of the cluster stands still", () => {
    const sighting = { id: "other", age: 0, sign: "the same" };
    members.looked(now, [sighting]);
    now += 3001;
    members.looked(now, [sighting]);
    assert.equal(members.isComplete, false);
  });

  it("names the others that it expects, and when it has seen them", () => {
    members.looked(now, [{ id: "other", age: 500, sign: "a" }, { left: "third" }]);
    now += 100;
    assert.deepEqual(members.others, [{ id: "other", age: 600 }]);
  });

  it("does not miss one that has left", () => {
    members.looked(now, [{ id: "other", age: 0, sign: "7" }]);
    members.looked(now, [{ left: "other" }]);
    now += 5000;
    members.looked(now, []);
    assert.equal(members.isComplete, true);
  });

  it("misses one of which the cluster knows nothing any more", () => {
    members.looked(now, [{ id: "other", age: 0, sign: "8" }]);
    now += 5000;
    members.looked(now, []);
    assert.equal(members.isComplete, false);
  });

  it("forgets one that was silent for a day", () => {
    members.looked(now, [{ id: "other", age: 0, sign: "9" }]);
    now += EXPECTED_FOR_MS;
    members.looked(now, []);
    assert.equal(members.missing, 1);
    now += 1;
    members.looked(now, []);
    assert.equal(members.isComplete, true);
  });

  it("counts itself as forgotten long before the others forget it", () => {
    assert.equal(members.isForgotten, true);
    members.looked(now, []);
    now += EXPECTED_FOR_MS / 2;
    assert.equal(members.isForgotten, false);
    now += 1;
    assert.equal(members.isForgotten, true);
  });

  it("gives signs of life every tenth of the TTL, and every 3 seconds where that is long", () => {
    assert.equal(members.period, 1000);
    assert.equal(new Members({ id: "own", ttl: 3_600_000, now: () => now }).period, 3000);
    assert.equal(new Members({ id: "own", ttl: 0, now: () => now }).period, 3000);
  });
});
