/** The protocol over HTTP, as a suite that runs on every storage. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import type { HandlerOptions } from "../../server.ts";
import type { Driver } from "../../storage/driver.ts";
import { HookedDriver } from "../support/drivers.ts";
import { type Serving, serveHere, sync } from "../support/http.ts";
import { newClient, newUser } from "../support/users.ts";
import { snapshotTests } from "./snapshot-suite.ts";

/** Packs whatever can be packed, at once. */
const eagerly: HandlerOptions["compaction"] = {
  limits: { operations: 2, bytes: 400 },
  timing: { debounce: 0, maxDelay: 0, deleteDelay: 0, backoff: 0 },
};

/**
 * Declares the suite twice: without compaction, and with a compaction after every request. Each test
 * has its own user, so that the storage may be shared.
 */
export function protocolSuite(name: string, open: () => Promise<Driver>): void {
  declare(`POST /sync on ${name}`, open);
  declare(`POST /sync on ${name}, compacted after every request`, open, eagerly);
}

function declare(
  title: string,
  open: () => Promise<Driver>,
  compaction?: HandlerOptions["compaction"],
): void {
  describe(title, () => {
    let driver: HookedDriver;
    let server: Serving;
    let user: string;
    let a: string;
    let b: string;
    const post = async (body: Record<string, unknown>, headers: Record<string, string> = {}) => {
      const answer = await sync(server.url, { user, ...body }, headers);
      if (compaction !== undefined) await server.compacted();
      return answer;
    };

    before(async () => {
      driver = new HookedDriver(await open());
      server = await serveHere({}, driver, compaction);
    });
    after(async () => {
      await server.close();
      await driver.close();
      // Otherwise the suite proves nothing: a segment was stored, and its objects were deleted.
      assert.equal(driver.count("delete") > 0, compaction !== undefined);
    });
    beforeEach(() => {
      user = newUser().base64;
      [a, b] = [newClient(), newClient()];
    });

    it("stores an operation and delivers it to the user's other clients, byte for byte as promised", async () => {
      const stored = await post({
        client_id: a,
        operation_index: 0,
        sync_status: {},
        payload: "x\n",
      });
      assert.equal(stored.status, 200);
      assert.equal(stored.text, "");
      assert.equal(stored.headers.get("content-type"), "application/x-ndjson");
      assert.equal(stored.headers.get("cache-control"), "no-store");
      assert.equal(stored.headers.get("operation-count"), "0");

      const fetched = await post({ client_id: b, sync_status: {} });
      assert.equal(fetched.text, `{"client_id":"${a}","operation_index":0,"payload":"x\\n"}\n`);
      assert.equal(fetched.headers.get("operation-count"), "1");
      assert.deepEqual((await post({ client_id: b, sync_status: { [a]: 0 } })).operations, []);
    });

    it("answers an append with the unseen operations of other clients, and none of its own", async () => {
      await post({ client_id: a, operation_index: 0, payload: "from a" });
      const answer = await post({ client_id: b, operation_index: 0, payload: ["one", "two"] });
      assert.deepEqual(answer.operations, [
        { client_id: a, operation_index: 0, payload: "from a" },
      ]);
    });

    it("returns a client's own operations when its sync status has none", async () => {
      await post({ client_id: a, operation_index: 0, payload: ["one", "two", "three"] });
      const own = async (body: Record<string, unknown>) =>
        (await post({ client_id: a, ...body })).operations.map(({ payload }) => payload);
      assert.deepEqual(await own({}), ["one", "two", "three"]);
      assert.deepEqual(await own({ operation_index: 2 }), []);
      assert.deepEqual(await own({ operation_index: 0 }), ["two", "three"]);
      assert.deepEqual(await own({ sync_status: { [a]: 1 } }), ["three"]);
      assert.deepEqual(await own({ operation_index: 0, sync_status: { [a]: 1 } }), ["three"]);
    });

    it("identifies a user by the key in any spelling, and a client by its UUID in any case", async () => {
      const key = newUser();
      const spellings = [
        key.pem,
        key.pem.replaceAll("\n", "\r\n"),
        key.base64,
        Buffer.from(key.base64, "base64").toString("base64url"),
      ];
      for (const [index, spelling] of spellings.entries()) {
        user = spelling;
        const client_id = index % 2 === 0 ? a.toUpperCase() : a;
        const { status } = await post({ client_id, operation_index: index, payload: `${index}` });
        assert.equal(status, 200);
      }
      const { operations } = await post({ client_id: b, sync_status: { [a.toUpperCase()]: 1 } });
      assert.deepEqual(
        operations.map(({ client_id, payload }) => [client_id, payload]),
        [
          [a, "2"],
          [a, "3"],
        ],
      );
    });

    it("T-05 accepts a retry, and refuses a gap and a conflict with what the client needs to continue", async () => {
      await post({ client_id: a, operation_index: 0, payload: ["zero", "one"] });
      assert.equal((await post({ client_id: a, operation_index: 1, payload: "one" })).status, 200);

      const gap = await post({ client_id: a, operation_index: 5, payload: "five" });
      assert.equal(gap.status, 409);
      assert.equal(gap.headers.get("content-type"), "application/problem+json");
      assert.equal(gap.problem.type, "urn:sync-server:operation-gap");
      assert.equal(gap.problem.next_index, 2);

      const conflict = await post({ client_id: a, operation_index: 0, payload: ["zero", "ONE"] });
      assert.equal(conflict.status, 409);
      assert.equal(conflict.problem.type, "urn:sync-server:operation-conflict");
      assert.equal(conflict.problem.operation_index, 1);
      assert.equal((await post({ client_id: b })).operations.length, 2);
    });

    it("refuses a batch of more than 10,000 operations, and says to send it in parts", async () => {
      const payload = Array.from({ length: 10_001 }, () => "x");
      const { status, problem } = await post({ client_id: a, operation_index: 0, payload });
      assert.equal(status, 400);
      assert.match(String(problem.detail), /#\/payload must have at most 10000 operations/);
      assert.deepEqual((await post({ client_id: b })).operations, []);
    });

    it("holds back the answer to a request that prefers to wait, until there is news for it", async () => {
      await post({ client_id: a, operation_index: 0, payload: "zero" });
      const wait = { Prefer: "wait=50" };
      const atOnce = await post({ client_id: b }, wait);
      assert.equal(atOnce.headers.get("preference-applied"), "wait=50");
      assert.deepEqual(
        atOnce.operations.map(({ payload }) => payload),
        ["zero"],
      );
      const later = post({ client_id: b, sync_status: { [a]: 0 } }, wait);
      const appended = await post({ client_id: a, operation_index: 1, payload: "one" }, wait);
      assert.equal(appended.headers.get("operation-count"), "0");
      const { headers, operations } = await later;
      assert.equal(headers.get("preference-applied"), "wait=50");
      assert.deepEqual(operations, [{ client_id: a, operation_index: 1, payload: "one" }]);
    });

    it("answers a request that waits with no lines when its time is over", async () => {
      await post({ client_id: a, operation_index: 0, payload: "zero" });
      const request = { client_id: b, sync_status: { [a]: 0 } };
      const { status, headers, text } = await post(request, { Prefer: "wait=1" });
      assert.deepEqual([status, text], [200, ""]);
      assert.equal(headers.get("preference-applied"), "wait=1");
      assert.equal(headers.get("operation-count"), "0");
    });

    it("asks storage nothing when a warm cache can answer a poll", async () => {
      await post({ client_id: a, operation_index: 0, payload: "zero" });
      await post({ client_id: b });
      const calls = driver.calls.length;
      await post({ client_id: b });
      await post({ client_id: b, sync_status: { [a]: 0 } });
      assert.equal(driver.calls.length, calls);
    });

    snapshotTests(() => ({
      server,
      driver,
      compacted: async () => {
        if (compaction !== undefined) await server.compacted();
      },
    }));
  });
}
