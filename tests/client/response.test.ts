/** Answers that are not as the protocol says. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ServerUnavailable } from "../../client/index.ts";
import { sealed } from "../support/sealed.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { answer, type Body, intercepted, useApps } from "../support/sync-app.ts";

const apps = useApps();

describe("an answer", () => {
  const broken: readonly [string, (lines: string[]) => Response][] = [
    [
      "has no Operation-Count",
      (lines) =>
        new Response(lines.join(""), { headers: { "Content-Type": "application/x-ndjson" } }),
    ],
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
      // The call of `sync` alone would have it asked again.
      assert.equal(app.statuses[0]?.state, "offline");
      assert.equal(known[1], what === "has no Operation-Count" ? -1 : 0);
      assert.deepEqual(app.client.refusals, []);
    });
  }

  const counted = { "Content-Type": "application/x-ndjson", "Operation-Count": "0" };
  const strangers: readonly [string, number, Readonly<Record<string, string>>][] = [
    ["200 and a page", 200, { "Content-Type": "text/html" }],
    ["200, a page and Operation-Count", 200, { ...counted, "Content-Type": "text/html" }],
    ["200 and Operation-Count, of no type", 200, { "Operation-Count": "0" }],
    ["200 and lines without Operation-Count", 200, { "Content-Type": "application/x-ndjson" }],
    ["200 and two counts", 200, { ...counted, "Operation-Count": "0, 0" }],
    ["201", 201, counted],
    ["202", 202, counted],
    ["203", 203, counted],
    ["204", 204, counted],
    ["206", 206, counted],
    ["207", 207, counted],
    ["226", 226, counted],
    ["304", 304, counted],
  ];
  /** A body where the status can have one. */
  const stranger = (status: number, headers: Readonly<Record<string, string>>) =>
    new Response([204, 304].includes(status) ? null : "", { status, headers });

  for (const [what, status, headers] of strangers) {
    it(`T-54 with ${what} acknowledges nothing`, async () => {
      const server = new SimulatedServer();
      let appends = 0;
      const { client } = await apps.open(
        intercepted(server, ({ payload }) =>
          payload !== undefined && appends++ === 0 ? stranger(status, headers) : undefined,
        ),
      );
      await client.append("one");
      await client.sync();
      assert.ok(appends >= 2);
      const reader = await apps.open((request) => server.fetch(request));
      await reader.client.sync();
      assert.deepEqual(reader.received, ["one"]);
    });

    if (status === 204) continue;
    it(`with ${what} deletes nobody`, async () => {
      const { client } = await apps.open(async ({ method }) =>
        method === "DELETE" ? stranger(status, headers) : answer([]),
      );
      await assert.rejects(client.erase(), ServerUnavailable);
      await client.append("still open");
    });
  }

  it("to a request to erase counts with 204 alone, and closes the client", async () => {
    const { client } = await apps.open(async ({ method }) =>
      method === "DELETE" ? new Response(null, { status: 204 }) : answer([]),
    );
    await client.erase();
    await assert.rejects(client.append("too late"));
  });
});
