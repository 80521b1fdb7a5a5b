/** `sync-server conformance` on servers that break a rule: one or more for each rule and each case. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CASES } from "../../../commands/conformance/cases/cases.ts";
import { type Fault, nothing, type Passing, tryBroken } from "../../support/broken-server.ts";
import { FAULTS } from "./faults.ts";
import { LOG_FAULTS } from "./log-faults.ts";

const ALL = [...FAULTS, ...LOG_FAULTS];

const sectionOf = ({ rule }: Fault) => rule.replace(/\.\d+$/, "");

/** Takes one of the requests that are to be refused so, in their order; counts them. */
function takingOne({ rule, what, takes }: Fault, which: number) {
  let refused = 0;
  const answer = async ({ pass }: Passing) => {
    const reply = await pass();
    return reply.type === takes && refused++ === which ? nothing() : reply;
  };
  return { fault: { rule, what, begin: () => answer }, count: () => refused };
}

describe("conformance, on a server that breaks a rule", () => {
  const failed = new Set<string>();

  for (const fault of ALL) {
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

  for (const fault of new Map(ALL.map((one) => [sectionOf(one), one])).values()) {
    it(`names ${fault.rule} of all rules of its section for one that ${fault.what}`, async () => {
      const { code, broken } = await tryBroken(fault, { rule: sectionOf(fault) });
      assert.equal(code, 1);
      assert.ok(Array.isArray(broken) && broken.includes(fault.rule), String(broken));
    });
  }

  const taking = ALL.filter(({ takes }) => takes !== undefined);
  for (const fault of new Map(taking.map((one) => [`${one.rule} ${one.takes}`, one])).values()) {
    it(`sees by ${fault.rule} each request that is taken, and is no ${fault.takes}`, async () => {
      const none = takingOne(fault, -1);
      assert.deepEqual(await tryBroken(none.fault).then(({ failed }) => failed), []);
      assert.ok(none.count() > 0);
      for (let which = 0; which < none.count(); which++) {
        const { code, broken } = await tryBroken(takingOne(fault, which).fault);
        assert.deepEqual([code, broken], [1, [fault.rule]], `request ${which} of ${none.count()}`);
      }
    });
  }
});
