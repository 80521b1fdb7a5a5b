import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryHub } from "../../cluster/memory.ts";
import { contract } from "./contract.ts";

contract("a cluster in memory", () => {
  let now = 0;
  const hub = new MemoryHub(() => now);
  return {
    join: async () => hub.join(),
    pass: async (milliseconds) => {
      now += milliseconds;
    },
  };
});

describe("a cluster in memory that is out of reach", () => {
  it("answers nothing, and makes up for what was not announced", async () => {
    const hub = new MemoryHub();
    const [a, b] = [hub.join(), hub.join()];
    const heard: string[] = [];
    b.onAnnouncement(({ log, change }) => heard.push(`${log}:${change}`));
    const before = (await b.version("log")) ?? "";
    hub.reachable = false;
    assert.deepEqual([a.isReliable, b.follows(before)], [false, false]);
    assert.equal(await a.version("log"), undefined);
    assert.equal(await a.announce("log", "lost"), undefined);
    hub.reachable = true;
    const after = await b.version("log");
    assert.deepEqual(heard, ["log:"]);
    assert.ok(after !== undefined && after !== before && b.follows(after));
    assert.equal(b.follows(before), false);
  });
});
