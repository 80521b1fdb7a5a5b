/** Answers that are not as the protocol says. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sealed } from "../support/sealed.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { answer, type Body, intercepted, useApps } from "../support/sync-app.ts";

const apps = useApps();

describe("an answer", () => {
  const broken: readonly [string, (lines: string[]) => Response][] = [
    ["has no Operation-Count", (lines) => new Response(lines.join(""))],
    ["has fewer lines than it says", (lines) => answer(lines.slice(0, 1), lines.length)],
    ["has more lines than it says", (lines) => answer(lines, 1)],
    ["ends within a line", (lines) => answer([lines.join("").slice(0, -1)], lines.length)],
    ["has a line that is no JSON", (lines) => answer([...lines.slice(0, 1), "{\n"], 2)],
    ["has a line that is no operation", (lines) => answer([...lines.slice(0, 1), "{}\n"], 2)],
  ];
  for (const [what, respond] of broken) {
    it(`T-16 that ${what} delivers its whole lines, and is asked for again`, async () => {
      const client = crypto.randomUUID();
      const lines = (await sealed(apps.identity, client, ["zero", "one"])).map(
        ({ index, payload }) =>
          `${JSON.stringify({ client_id: client, operation_index: index, payload, extra: 1 })}\n`,
      );
      const known: number[] = [];
      const app = await apps.open(async (request) => {
        const { sync_status: status }: Body = JSON.parse(await request.text());
        known.push(status[client] ?? -1);
        if (known.length === 1) return respond(lines);
        return answer(lines.slice((status[client] ?? -1) + 1));
      });
      await app.client.sync();
      assert.deepEqual(app.received, ["zero", "one"]);
      assert.equal(known[1], what === "has no Operation-Count" ? -1 : 0);
      assert.deepEqual(app.client.refusals, []);
    });
  }

  it("without Operation-Count acknowledges nothing", async () => {
    const server = new SimulatedServer();
    const strangers = [
      new Response("<h1>Log in</h1>", { headers: { "Content-Type": "text/html" } }),
      new Response(null, { status: 204 }),
    ];
    const { client } = await apps.open(
      intercepted(server, ({ payload }) => (payload === undefined ? undefined : strangers.shift())),
    );
    await client.append("one");
    await client.sync();
    assert.deepEqual(strangers, []);
    const reader = await apps.open((request) => server.fetch(request));
    await reader.client.sync();
    assert.deepEqual(reader.received, ["one"]);
  });
});
