/** Waits, clocks, addresses and texts that a server or a proxy sends: bounded, and never obeyed blindly. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { Status } from "../../client/index.ts";
import { ServerRejected } from "../../client/index.ts";
import { type RawServer, serveRaw } from "../support/raw-server.ts";
import { JumpingClock, SimulatedServer } from "../support/simulated-network.ts";
import { until } from "../support/socket.ts";
import { answer, intercepted, problem, RecordingClock, useApps } from "../support/sync-app.ts";

const HOUR = 3600_000;
const apps = useApps();

/** Why a client is not synced, as it says to the person. */
const reasons = (statuses: readonly Status[]) =>
  statuses.flatMap((status) => ("why" in status && status.why !== undefined ? [status.why] : []));

describe("a wait that a server asks for", () => {
  const now = new JumpingClock().now();
  const waits: readonly [string, number][] = [
    ["7200", HOUR],
    ["9".repeat(400), HOUR],
    [new Date(now + 30 * 24 * HOUR).toUTCString(), HOUR],
    ["Fri, 31 Dec 9999 23:59:59 GMT", HOUR],
    ["3599", 3_599_000],
    [new Date(now - HOUR).toUTCString(), 500],
    ["-1", 500],
    ["soon", 500],
    ["1e9", 500],
  ];
  for (const [header, expected] of waits) {
    it(`T-54 of ${header.slice(0, 30)} is kept for ${expected} ms`, async () => {
      const server = new SimulatedServer();
      const clock = new RecordingClock();
      const { client } = await apps.open(
        intercepted(server, (_, number) =>
          number === 0
            ? new Response(null, { status: 503, headers: { "Retry-After": header } })
            : undefined,
        ),
        { clock, random: () => 0 },
      );
      await until(() => client.status.state === "synced");
      assert.deepEqual(clock.waits, [expected]);
    });
  }

  it("does not keep a person's sync from being tried", async () => {
    let requests = 0;
    // No wait ends by itself.
    const clock = {
      now: () => 0,
      sleep: (_: number, signal: AbortSignal) =>
        new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())),
    };
    const { client } = await apps.open(
      async () => {
        if (++requests > 3) return answer([]);
        return new Response(null, { status: 429, headers: { "Retry-After": "3600" } });
      },
      { clock },
    );
    for (const expected of [1, 2, 3]) {
      await until(() => requests === expected && client.status.state === "pending");
      // Another state would end the call; this one waits until the server is there again.
      client.sync().catch(assert.fail);
    }
    await until(() => client.status.state === "synced");
  });
});

describe("the time of a server", () => {
  for (const [hours, isFollowed] of [
    [23, true],
    [-23, true],
    [25, false],
    [-25, false],
    [24 * 365 * 50, false],
  ] as const) {
    it(`that is ${hours} hours from the device's is ${isFollowed ? "" : "not "}signed for`, async () => {
      const clock = new JumpingClock();
      const truth = () => clock.now() + hours * HOUR;
      const created: number[] = [];
      const { client, statuses } = await apps.open(
        async (request) => {
          const input = request.headers.get("signature-input") ?? "";
          const at = Number(/created=(\d+)/.exec(input)?.[1]) * 1000;
          created.push(at - clock.now());
          if (Math.abs(at - truth()) < 300_000) return answer([]);
          const refusal = problem(401, "signature-invalid", { check: "clock" });
          refusal.headers.set("Date", new Date(truth()).toUTCString());
          return refusal;
        },
        { clock, sign: true },
      );
      const synced = client.sync();
      if (isFollowed) return synced;
      await assert.rejects(synced, ServerRejected);
      for (const difference of created) assert.ok(Math.abs(difference) < 2000);
      assert.match(
        reasons(statuses)[0] ?? "",
        /clocks .* more than a day apart: set the wrong one/,
      );
      assert.ok(statuses.some((status) => "code" in status && status.code === "clock"));
    });
  }
});

describe("the text of a server", () => {
  it("is shown as the server's words, on one line, short, and in its order", async () => {
    const bidi = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069";
    const controls = "\0\u0007\b\t\n\r\u001b[31m\u007f\u0085\u009b\u2028\u2029\ufeff";
    const detail = `Over ${bidi}${controls}quota. ${"\u{1f4a7}".repeat(10_000)}`;
    const { client } = await apps.open(async () => problem(403, "user-not-allowed", { detail }));
    await assert.rejects(client.sync(), (error) => {
      assert.ok(error instanceof ServerRejected);
      assert.match(
        error.message,
        /^the server says: Over \ufffd+\[31m\ufffd+quota\. \u{1f4a7}+\ufffd?$/u,
      );
      assert.ok(error.message.length <= 520);
      assert.doesNotMatch(error.message, /[\p{C}\p{Zl}\p{Zp}]/u);
      return true;
    });
  });
});

describe("a status", () => {
  for (const status of [500, 502, 503, 504, 506, 508, 511, 520, 521, 522, 525, 530, 599]) {
    it(`of ${status} without a problem document is tried again`, async () => {
      const server = new SimulatedServer();
      const { client, statuses } = await apps.open(
        intercepted(server, (_, number) =>
          number === 0 ? new Response("<h1>Sorry</h1>", { status }) : undefined,
        ),
      );
      await until(() => client.status.state === "synced");
      assert.equal(statuses[0]?.state, "offline");
      assert.match(reasons(statuses)[0] ?? "", new RegExp(`status ${status}: it may be down`));
    });
  }

  for (const status of [400, 404, 405, 451, 501, 505, 507]) {
    it(`of ${status} without a problem document is a refusal`, async () => {
      const { client, statuses } = await apps.open(async () => new Response("", { status }));
      await assert.rejects(client.sync(), ServerRejected);
      assert.equal(statuses[0]?.state, "refused");
      assert.match(reasons(statuses)[0] ?? "", new RegExp(`status ${status}`));
    });
  }
});

describe("an address", () => {
  const servers: RawServer[] = [];
  afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

  async function serve(head: string): Promise<RawServer> {
    const server = await serveRaw((socket) => socket.end(`${head}\r\nContent-Length: 0\r\n\r\n`));
    servers.push(server);
    return server;
  }

  for (const status of [301, 302, 303, 307, 308]) {
    it(`that redirects with ${status} is not followed, and the message says where to`, async () => {
      const other = await serve("HTTP/1.1 204 No Content");
      const server = await serve(`HTTP/1.1 ${status} Moved\r\nLocation: ${other.url}/base/sync`);
      const { client, statuses } = await apps.open((...of) => fetch(...of), { url: server.url });
      await until(() => statuses.length > 0);
      assert.equal(client.status.state, "offline");
      assert.ok(
        reasons(statuses)[0]?.includes(
          `leads to ${other.url}/base: use that address, or sign in to the network`,
        ),
        reasons(statuses)[0],
      );
      await assert.rejects(client.erase());
      assert.equal(other.accepted, 0, "the key went to another server");
    });
  }

  for (const location of ["http://[", "\u00ff", "javascript:alert(1)", "/".repeat(8000)]) {
    it(`that redirects to ${JSON.stringify(location.slice(0, 20))} is a failure as well`, async () => {
      const headers = { Location: location };
      const { client, statuses } = await apps.open(
        async () => new Response(null, { status: 302, headers }),
      );
      await until(() => statuses.length > 0);
      assert.equal(client.status.state, "offline");
      assert.ok((reasons(statuses)[0]?.length ?? 0) < 700);
    });
  }

  it("that redirects in a browser, which hides where to, is a failure with advice", async () => {
    // Like an opaque redirect, it has the status 0 and no headers.
    const { statuses } = await apps.open(async () => Response.error());
    await until(() => statuses.length > 0);
    assert.match(reasons(statuses)[0] ?? "", /leads elsewhere: try https/);
  });

  it("that the server does not know as its own is named, with the setting to change", async () => {
    const { client } = await apps.open(
      async () =>
        problem(401, "signature-invalid", {
          check: "signature",
          authority: "127.0.0.1:8080",
          path: "/sync",
        }),
      { url: "https://sync.example:443/notes", sign: true },
    );
    await assert.rejects(client.sync(), (error) => {
      assert.ok(error instanceof ServerRejected);
      assert.equal(
        error.message,
        "the server takes its address for 127.0.0.1:8080/sync, not sync.example/notes/sync: " +
          "use that one, or set the server's PUBLIC_URL to https://sync.example/notes/",
      );
      return true;
    });
  });

  it("that the server knows as its own is no reason for a wrong signature", async () => {
    const { client } = await apps.open(
      async () => problem(401, "signature-invalid", { authority: "sync.example", path: "/sync" }),
      { url: "https://sync.example:443", sign: true },
    );
    await assert.rejects(client.sync(), /^ServerRejected: the server says: So it is\.$/);
  });
});
