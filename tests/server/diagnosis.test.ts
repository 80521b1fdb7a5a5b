/** The answer to `Prefer: diagnose`: how a request has arrived. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryDriver } from "../../storage/memory.ts";
import { HookedDriver } from "../support/drivers.ts";
import { withServer } from "../support/http.ts";
import { inProcessServer, SERVER } from "../support/signing.ts";

const ask = (url: string, body: unknown, fields: Record<string, string> = {}) =>
  fetch(new URL("/sync", url), {
    method: "POST",
    headers: { "Content-Type": "application/json", Prefer: "diagnose", ...fields },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

describe("Prefer: diagnose", () => {
  it("is answered with what the server has seen, without a user and without storage", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const settings = { MAX_BODY: "4096", MAX_WAIT: "3s", TRUSTED_PROXIES: "127.0.0.1,::1" };
    await withServer(
      settings,
      async ({ url }) => {
        const fields = { "X-Forwarded-For": "192.0.2.1, 192.0.2.9" };
        const response = await ask(url, { address: "192.0.2.9", fill: "xx" }, fields);
        const [first = "", second, end] = (await response.text()).split("\n");
        assert.deepEqual([second, end], ['{"end":true}', ""]);
        const { time, http, ...seen } = JSON.parse(first);
        assert.deepEqual(seen, {
          ...{ authority: new URL(url).host, path: "/sync", max_body: 4096, max_wait: 3 },
          ...{ hops: 2, first: false, trusted: true, named: true, bytes: 35 },
        });
        assert.ok(Number.isFinite(Date.parse(time)));
        assert.ok(http === null || http === "1.1");
        assert.equal(driver.calls.length, 0);
      },
      driver,
    );
  });

  it("refuses what a sync request would be refused for, and what is no question", async () => {
    await withServer({ MAX_BODY: "4096" }, async ({ url }) => {
      assert.equal((await ask(url, { fill: "x".repeat(5000) })).status, 413);
      assert.equal((await ask(url, "{", {})).status, 400);
      assert.equal((await ask(url, {}, { "Content-Type": "text/plain" })).status, 415);
      for (const wrong of [{ wait: -1 }, { wait: 241 }, { parts: "yes" }, { address: 7 }, 7]) {
        const response = await ask(url, wrong);
        assert.equal(response.status, 400, JSON.stringify(wrong));
        assert.match(await response.text(), /is no question of a diagnosis/);
      }
    });
  });

  it("waits no longer than MAX_WAIT", async () => {
    await withServer({ MAX_WAIT: "1s" }, async ({ url }) => {
      assert.equal((await ask(url, { wait: 240 })).status, 200);
    });
  });

  it("waits for eight at once, which are answered where the server stops", async () => {
    const { handler } = inProcessServer({ MAX_WAIT: "4m" });
    const headers = { "Content-Type": "application/json", Prefer: "diagnose" };
    const request = () =>
      handler.fetch(new Request(SERVER, { method: "POST", headers, body: '{"wait":240}' }));
    // Once the last one is refused, all others wait.
    const asked = Array.from({ length: 9 }, request);
    assert.equal((await Promise.race(asked)).status, 503);
    await handler.stop();
    const statuses = await Promise.all(asked.map(async (answer) => (await answer).status));
    assert.deepEqual(statuses.sort(), [...Array(8).fill(200), 503]);
  });
});
