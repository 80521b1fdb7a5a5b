/** `sync-server conformance` on servers that break a rule: one or more for each rule and each case. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CASES } from "../../../commands/conformance/cases/cases.ts";
import { tryBroken } from "../../support/broken-server.ts";
import { onlyOn } from "../../support/one-runtime.ts";
import { FAULTS } from "./faults.ts";
import { LOG_FAULTS } from "./log-faults.ts";

const { skip, note } = onlyOn("Bun", "no runtime changes what a case wants");

describe(`conformance, on a server that breaks a rule${note}`, { skip }, () => {
  const failed = new Set<string>();

  for (const fault of [...FAULTS, ...LOG_FAULTS]) {
    it(`names ${fault.rule} for one that ${fault.what}`, async () => {
      const result = await tryBroken(fault);
      assert.deepEqual([result.code, result.broken], [1, [fault.rule]]);
      for (const title of result.failed) failed.add(title);
    });
  }

  it("has a server for each case that fails on it", () => {
    const missing = CASES.map(({ rule, says }) => `${rule} ${says}`).filter((c) => !failed.has(c));
    assert.deepEqual(missing, []);
  });
});
