/**
 * The protocol over HTTP, as a suite that runs on every storage: the cases of `sync-server conformance`
 * that store something, and what shows only in the storage.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import type { Rule } from "../../commands/conformance/case.ts";
import { CASES } from "../../commands/conformance/cases/cases.ts";
import { ERASURE } from "../../commands/conformance/cases/erasure.ts";
import type { TestedServer } from "../../commands/conformance/tested-server.ts";
import type { HandlerOptions } from "../../server.ts";
import type { Driver } from "../../storage/driver.ts";
import { testedServer } from "../support/conformance.ts";
import { HookedDriver } from "../support/drivers.ts";
import { type Serving, serveHere, sync } from "../support/http.ts";
import type { OneRuntime } from "../support/one-runtime.ts";
import { sharedPositions } from "../support/share.ts";
import { newClient, newUser } from "../support/users.ts";
import { snapshotTests } from "./snapshot-suite.ts";

/** Packs whatever can be packed, at once. */
const eagerly: HandlerOptions["compaction"] = {
  limits: { operations: 2, bytes: 400 },
  timing: { debounce: 0, maxDelay: 0, deleteDelay: 0, backoff: 0 },
};

/** Sections about what is stored: on another storage, their cases could end otherwise. */
const STORING = /^R-(?:5|6|7|8|9|20)\./;

/** What each runtime tries on each storage; of the other cases, each takes a third. */
const EVERYWHERE = /^R-(?:3\.5|5\.1|6\.[123]|6\.13|20\.[3467])$/;

/** A user is deleted: what is deleted before says whether anything was packed. */
const ERASING = /^R-6\.15$/;

const thirds = new Set(sharedPositions(CASES.length));
const cases = CASES.filter(
  ({ rule }, at) =>
    EVERYWHERE.test(rule) || (STORING.test(rule) && !ERASING.test(rule) && thirds.has(at)),
);
const erasing = [...CASES.filter(({ rule }) => ERASING.test(rule)), ...ERASURE];

/** The threats of SECURITY.md that a rule stops. */
const THREATS: Readonly<Record<Rule, string | undefined>> = { "R-5.1": "T-05" };

/**
 * Declares the suite twice: without compaction, and with a compaction after every request. Each test
 * has its own user, so that the storage may be shared.
 *
 * @param compacted where the second one runs: wherever the first does unless given
 */
export function protocolSuite(
  name: string,
  open: () => Promise<Driver>,
  compacted: OneRuntime = { skip: false, note: "" },
): void {
  declare(`POST /sync on ${name}`, open);
  const { skip, note } = compacted;
  describe(`after a compaction each time${note}`, { skip }, () =>
    declare(`POST /sync on ${name}, compacted after every request`, open, eagerly),
  );
}

function declare(
  title: string,
  open: () => Promise<Driver>,
  compaction?: HandlerOptions["compaction"],
): void {
  describe(title, () => {
    let driver: HookedDriver;
    let server: Serving;
    let tested: TestedServer;
    let user: string;
    let a: string;
    let b: string;
    const post = async (body: Record<string, unknown>, headers: Record<string, string> = {}) => {
      const answer = await sync(server.url, { user, ...body }, headers);
      if (compaction !== undefined) await server.compacted();
      return answer;
    };

    /** Of an answer that is under way, compaction could delete what it has not read yet. */
    const send = async (request: Request) => {
      const answer = await fetch(request);
      const { status, headers } = answer;
      const bytes = await answer.arrayBuffer();
      if (compaction !== undefined) await server.compacted();
      return new Response(bytes.byteLength === 0 ? null : bytes, { status, headers });
    };

    before(async () => {
      driver = new HookedDriver(await open());
      server = await serveHere({}, driver, compaction);
      tested = testedServer(server.url, send);
    });
    after(async () => {
      await server.close();
      await driver.close();
    });
    beforeEach(() => {
      user = newUser().base64;
      [a, b] = [newClient(), newClient()];
    });

    for (const { rule, says, run } of cases) {
      const threat = THREATS[rule] === undefined ? "" : `${THREATS[rule]} `;
      it(`${threat}${rule} ${says}`, () => run(tested));
    }

    it("refuses a batch of more than 10,000 operations, and says to send it in parts", async () => {
      const payload = Array.from({ length: 10_001 }, () => "x");
      const { status, problem } = await post({ client_id: a, operation_index: 0, payload });
      assert.equal(status, 400);
      assert.match(String(problem.detail), /#\/payload must have at most 10000 operations/);
      assert.deepEqual((await post({ client_id: b })).operations, []);
    });

    it("asks storage nothing when a warm cache can answer a poll", async () => {
      await post({ client_id: a, operation_index: 0, payload: "zero" });
      await post({ client_id: b });
      const calls = driver.calls.length;
      await post({ client_id: b });
      await post({ client_id: b, sync_status: { [a]: 0 } });
      assert.equal(driver.calls.length, calls);
    });

    const packs = compaction === undefined ? "packs nothing" : "packs operations";
    it(`${packs} meanwhile, as this suite is about`, () => {
      // A segment was stored, and its objects were deleted.
      assert.equal(driver.count("delete") > 0, compaction !== undefined);
    });

    for (const { rule, says, run } of erasing) {
      it(`${rule} ${says}`, () => run(tested));
    }

    snapshotTests(() => ({
      server,
      driver,
      compacted: async () => {
        if (compaction !== undefined) await server.compacted();
      },
    }));
  });
}
