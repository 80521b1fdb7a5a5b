/** A server that begins an answer and falls silent, over real connections. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { systemClock } from "../../client/clock.ts";
import { startDeadline } from "../support/deadline.ts";
import { collectGarbage } from "../support/garbage.ts";
import { type RawServer, serveRaw } from "../support/raw-server.ts";
import { until } from "../support/socket.ts";
import { NEVER, useApps } from "../support/sync-app.ts";

const LINES = "Content-Type: application/x-ndjson\r\nOperation-Count: 1\r\n";

/** The head of an answer, after which nothing comes. */
const SILENCES: readonly [string, string][] = [
  ["nothing", ""],
  ["the head of lines", `HTTP/1.1 200 OK\r\n${LINES}Content-Length: 1000\r\n\r\n`],
  ["the beginning of a line", `HTTP/1.1 200 OK\r\n${LINES}Content-Length: 1000\r\n\r\n{"cl`],
  [
    "the head of a problem",
    "HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\nContent-Length: 1000\r\n\r\n",
  ],
  [
    "the beginning of a problem",
    'HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\nContent-Length: 1000\r\n\r\n{"ty',
  ],
];

const apps = useApps();
const servers: RawServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

async function silentAfter(beginning: string): Promise<RawServer> {
  const server = await serveRaw((socket) => socket.write(beginning));
  servers.push(server);
  return server;
}

describe("a server that falls silent", () => {
  for (const [what, beginning] of SILENCES) {
    it(`after ${what} is given up, and its connection closed`, async () => {
      const server = await silentAfter(beginning);
      const { client } = await apps.open((...of) => fetch(...of), {
        url: server.url,
        clock: systemClock,
        idleTimeout: 500,
      });
      const collecting = setInterval(collectGarbage, 100);
      await until(() => /^(?:offline|refused)$/.test(client.status.state)).finally(() =>
        clearInterval(collecting),
      );
      await until(() => server.connections.size === 0);
      await client.close();
    });

    it(`after ${what} does not keep a client from closing`, async () => {
      const server = await silentAfter(beginning);
      const { client } = await apps.open((...of) => fetch(...of), {
        url: server.url,
        clock: systemClock,
        idleTimeout: NEVER,
      });
      await until(() => server.connections.size > 0);
      // The answer's beginning arrives, and the request is garbage as far as the runtime sees.
      for (let i = 0; i < 5; i++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        collectGarbage();
      }
      const { lost, end } = startDeadline(() => "the client closes");
      await Promise.race([lost, client.close()]);
      end();
      await until(() => server.connections.size === 0);
    });
  }

  it("is given up although the function that fetches never settles", async () => {
    const { client } = await apps.open(() => new Promise(() => undefined), { idleTimeout: 1000 });
    await until(() => client.status.state === "offline");
    await client.close();
    assert.equal(client.status.state, "offline");
  });
});
