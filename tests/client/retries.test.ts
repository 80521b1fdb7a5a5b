/** When a client asks again, and what it shows meanwhile. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type Clock, ServerRejected } from "../../client/index.ts";
import { Transport } from "../../client/transport.ts";
import { serveHere } from "../support/http.ts";
import { newIdentity } from "../support/private-keys.ts";
import { commandFor, projectFolder, runToEnd } from "../support/process.ts";
import { JumpingClock, SimulatedServer } from "../support/simulated-network.ts";
import { until } from "../support/socket.ts";
import {
  answer,
  intercepted,
  NEVER,
  problem,
  RecordingClock,
  useApps,
} from "../support/sync-app.ts";

const apps = useApps();

describe("a client whose requests fail", () => {
  it("waits for Retry-After, and otherwise longer with each failure", async () => {
    const server = new SimulatedServer();
    const clock = new RecordingClock();
    const { client, statuses } = await apps.open(
      intercepted(server, (_, number) => {
        if (number === 0) {
          return new Response(null, { status: 503, headers: { "Retry-After": "77" } });
        }
        if (number === 1) {
          const date = new Date(clock.now() + 99_000).toUTCString();
          return new Response(null, { status: 429, headers: { "Retry-After": date } });
        }
        if (number < 8) throw new TypeError("the connection broke");
        return undefined;
      }),
      { clock, random: () => 0.5 },
    );
    await until(() => client.status.state === "synced");
    assert.equal(clock.waits[0], 77_000);
    assert.ok((clock.waits[1] ?? 0) > 97_000 && (clock.waits[1] ?? 0) <= 99_000);
    const rest = clock.waits.slice(2);
    assert.deepEqual(rest, [3000, 6000, 12_000, 24_000, 48_000, 96_000]);
    const states = statuses.map(({ state }) => state);
    assert.deepEqual(states.slice(0, 3), ["offline", "pending", "offline"]);
    assert.equal(states.at(-1), "synced");
  });

  it("gives up a request to a silent server, and tries again", async () => {
    const server = new SimulatedServer();
    const asked: AbortSignal[] = [];
    const { client } = await apps.open(
      (request) => {
        if (asked.push(request.signal) > 1) return server.fetch(request);
        return new Promise((_, reject) => {
          request.signal.addEventListener("abort", () => reject(request.signal.reason));
        });
      },
      { idleTimeout: 10_000 },
    );
    await until(() => client.status.state === "synced");
    assert.equal(asked[0]?.aborted, true);
    assert.equal(asked.length, 2);
  });

  it("waits longer for the answer to a larger body, as the server does", async () => {
    const waits: number[] = [];
    const sent: number[] = [];
    const clock: Clock = {
      now: () => 0,
      sleep: (milliseconds, signal) => {
        if (milliseconds !== NEVER) waits.push(milliseconds);
        return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
      },
    };
    const server = new SimulatedServer();
    const fetch = intercepted(server, (body) => {
      sent.push(JSON.stringify(body).length);
      return undefined;
    });
    const { client } = await apps.open(fetch, { clock, idleTimeout: 10_000 });
    await client.append("x".repeat(100_000));
    await client.sync();
    const largest = Math.max(...sent);
    assert.ok(largest > 100_000);
    assert.equal(Math.max(...waits), 10_000 + Math.ceil((largest * 1000) / 4096));
  });

  it("does not wait when sync was called while the request was failing", async () => {
    const clock = new RecordingClock();
    const server = new SimulatedServer();
    const answers: ((answer: Response) => void)[] = [];
    const { client } = await apps.open(
      intercepted(server, (_, number) =>
        number === 0 ? new Promise((resolve) => answers.push(resolve)) : undefined,
      ),
      { clock },
    );
    await until(() => answers.length > 0);
    const synced = client.sync();
    answers[0]?.(new Response(null, { status: 502 }));
    await synced;
    assert.deepEqual(clock.waits, []);
  });

  it("is pending and says why when the server limits the rate", async () => {
    const server = new SimulatedServer();
    const { client, statuses } = await apps.open(
      intercepted(server, (_, number) =>
        number === 0 ? problem(429, "new-users-limited") : undefined,
      ),
    );
    await until(() => client.status.state === "synced");
    assert.deepEqual(statuses[0], {
      state: "pending",
      pending: 0,
      refused: 0,
      live: false,
      code: "rate",
      why: "the server says: So it is.",
    });
  });

  it("retries a refusal at growing intervals, and shows the status of an answer that is not a problem document", async () => {
    const server = new SimulatedServer();
    const clock = new RecordingClock();
    const { client, statuses } = await apps.open(
      intercepted(server, (_, number) => {
        if (number < 3) return problem(403, "user-not-allowed");
        return number === 3 ? new Response("<h1>Gone fishing</h1>", { status: 404 }) : undefined;
      }),
      { clock, random: () => 0 },
    );
    await until(() => client.status.state === "synced");
    assert.deepEqual(clock.waits, [500, 1000, 2000, 4000]);
    const why = statuses.flatMap((status) => (status.state === "refused" ? [status.why] : []));
    assert.deepEqual(why, [
      "the server says: So it is.",
      "the server answered with status 404: check the address",
    ]);
  });

  it("corrects its clock once by the Date of the server, and signs again", async () => {
    const clock = new JumpingClock();
    const truth = clock.now() + 3600_000;
    const created: number[] = [];
    const { client } = await apps.open(
      (request) => {
        const at = Number(/created=(\d+)/.exec(request.headers.get("signature-input") ?? "")?.[1]);
        created.push(at);
        if (Math.abs(at * 1000 - truth) < 300_000) return Promise.resolve(answer([]));
        const headers = { Date: new Date(truth).toUTCString() };
        return Promise.resolve(new Response(null, { status: 401, headers }));
      },
      { clock, sign: true },
    );
    await client.sync();
    await client.sync();
    assert.ok(created.length > 2);
    assert.ok((created[0] ?? 0) * 1000 < truth - 300_000);
    for (const at of created.slice(1)) assert.equal(at, Math.floor(truth / 1000), "it is kept");
  });

  it("signs a request again that was on its way for longer than a signature is good for", async () => {
    const clock = new JumpingClock();
    const late = [301_000, 301_000, 0];
    const created: number[] = [];
    const transport = new Transport({
      url: "http://localhost",
      identity: await newIdentity(),
      ...{ clock, sign: true, idleTimeout: NEVER },
      fetch: async (request) => {
        const at = Number(/created=(\d+)/.exec(request.headers.get("signature-input") ?? "")?.[1]);
        created.push(at * 1000 - clock.now());
        clock.pass(late.shift() ?? 0);
        const headers = { Date: new Date(clock.now()).toUTCString() };
        const isGood = at * 1000 >= clock.now() - 300_000;
        return new Response(null, { status: isGood ? 204 : 401, headers });
      },
    });
    const { signal } = new AbortController();
    await assert.rejects(transport.erase(signal), ServerRejected);
    assert.equal(created.length, 2, "only once more");
    late.unshift(301_000);
    await transport.erase(signal);
    assert.deepEqual(created, [0, 0, 0, 0], "by its own clock, which is right");
  });

  it("signs both of two requests again that were under way with a wrong clock", async () => {
    const clock = new JumpingClock();
    const truth = clock.now() + 3600_000;
    let first = 0;
    const transport = new Transport({
      url: "http://localhost",
      identity: await newIdentity(),
      ...{ clock, sign: true, idleTimeout: NEVER },
      fetch: async (request) => {
        const at = Number(/created=(\d+)/.exec(request.headers.get("signature-input") ?? "")?.[1]);
        if (Math.abs(at * 1000 - truth) < 300_000) return new Response(null, { status: 204 });
        first++;
        await until(() => first === 2);
        const headers = { Date: new Date(truth).toUTCString() };
        return new Response(null, { status: 401, headers });
      },
    });
    const { signal } = new AbortController();
    await Promise.all([transport.erase(signal), transport.erase(signal)]);
    assert.equal(first, 2);
  });

  it("stops permanently when the user was erased", async () => {
    let asked = 0;
    const { client } = await apps.open(async () => {
      asked++;
      return problem(410, "user-erased");
    });
    await assert.rejects(
      client.sync(),
      (error) => error instanceof ServerRejected && error.status === 410,
    );
    assert.deepEqual(client.status, {
      state: "refused",
      pending: 0,
      code: "erased",
      why: "the server says: So it is.",
      final: true,
      refused: 0,
      live: false,
    });
    await assert.rejects(client.sync(), ServerRejected);
    assert.equal(asked, 1);
  });
});

describe("an app that throws in onStatus", () => {
  it("does not stop the sync, and its error is reported as uncaught", async () => {
    const server = await serveHere();
    try {
      const command = commandFor(join("tests", "support", "faulty-app.ts"));
      const program = { command, folder: projectFolder };
      const { code, stdout, stderr } = await runToEnd([server.url], {}, program);
      assert.equal(code, 0, stderr);
      const { uncaught, ...status } = JSON.parse(stdout);
      assert.deepEqual(status, { state: "synced", pending: 0 });
      assert.ok(uncaught.includes("it cannot show synced"), stdout);
    } finally {
      await server.close();
    }
  });
});
