import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import type { Fingerprint } from "../../oplog/names.ts";
import { UnsettledLogs } from "../../oplog/unsettled-logs.ts";
import { someFingerprint } from "../support/users.ts";

describe("a log in which a failed put may have stored something", () => {
  beforeEach(() => mock.timers.enable({ apis: ["setInterval"] }));
  afterEach(() => mock.timers.reset());

  it("is announced ten times more after each failure", () => {
    const announced: Fingerprint[] = [];
    const logs = new UnsettledLogs({
      every: 1000,
      announce: async (user) => {
        announced.push(user);
      },
    });
    const user = someFingerprint();
    logs.add(user);
    assert.equal(logs.isEmpty, false);
    mock.timers.tick(4000);
    assert.equal(announced.length, 4);
    logs.add(user);
    mock.timers.tick(60_000);
    assert.equal(announced.length, 14);
    assert.equal(logs.isEmpty, true);
  });
});
