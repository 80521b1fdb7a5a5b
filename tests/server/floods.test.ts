/** Floods on a real server process: its memory stays bounded, and another user is served. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, describe, it } from "node:test";
import {
  BEHIND_PROXY,
  type Behavior,
  endlessHead,
  Flood,
  newUsers,
  RegularUser,
  repeated,
  slowReader,
  slowWriter,
} from "../../bench/lib/flood.ts";
import { memoryOf } from "../../bench/lib/memory.ts";
import { randomPublicKey } from "../../bench/lib/users.ts";
import { store } from "../support/http.ts";
import { metricOf } from "../support/metrics.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { commandFor, projectFolder, type ServerProcess, startServer } from "../support/process.ts";
import { until } from "../support/socket.ts";
import { newClient } from "../support/users.ts";

const MIB = 2 ** 20;

/** In milliseconds. Without it, a flood whose requests are refused at once is most of the work. */
const PAUSE = 1000;

describe("a server under a flood", () => {
  // Without the bounds each of these floods takes a gigabyte or more, or all slots.
  const BOUND = 700 * MIB;
  let server: ServerProcess;
  let flood: Flood | undefined;
  let user: RegularUser;

  beforeEach(async () => {
    server = await startServer({
      ...BEHIND_PROXY,
      STORAGE: "memory:",
      OBJECT_CACHE_BYTES: "1MiB",
      NEW_USERS_PER_HOUR: "100",
      MAX_REQUESTS: "200",
      MAX_BUFFERED: "64MiB",
      CLIENT_TIMEOUT: "1s",
    });
    user = new RegularUser(server.url);
    await user.sync();
  });
  afterEach(async () => {
    flood?.end();
    await server.end("SIGKILL");
  });

  /** A flood of long bodies. Without a pause, those that are refused take most of the work. */
  const longFlood = (connections: number, behavior: Behavior, pause = PAUSE) =>
    new Flood(server.port, connections, behavior, pause);
  /** `NaN` while the flood leaves no connection for the question. */
  const metric = async (name: string) => {
    try {
      return await metricOf(server.url, name);
    } catch (error) {
      if (error instanceof TypeError) return Number.NaN;
      throw error;
    }
  };
  /** Zero as well while the flood leaves no connection for the question. */
  const refused = async (type: string) =>
    // It is listed from the first one on.
    (await metric(`sync_refusals_total{type="${type}"}`)) || 0;

  /** Serves the regular user until the flood shows its effect, and a little longer. */
  async function served(shown: () => Promise<boolean>): Promise<void> {
    await until(async () => {
      await user.sync();
      return shown();
    }, String(shown));
    for (let more = 1; more < 5; more++) await user.sync();
    const { peak } = memoryOf(server.pid);
    assert.ok(peak < BOUND, `${peak} bytes of memory`);
  }

  // Short requests, which no runtime takes in its own way.
  const { skip: skipShort, note } = onlyOn("Bun", "its requests are short and whole");
  it(`of polls by new keys serves other users${note}`, { skip: skipShort }, async () => {
    flood = new Flood(server.port, 32, newUsers({}));
    await served(async () => (flood?.statuses.get("200") ?? 0) > 1000);
  });

  it(`T-37 of appends by new keys stores those of a hundred, and serves other users${note}`, {
    skip: skipShort,
  }, async () => {
    flood = new Flood(server.port, 32, newUsers({ operation_index: 0, payload: "sealed" }));
    await served(async () => (await refused("new-users-limited")) > 500);
    assert.equal(flood.statuses.get("200"), 100);
  });

  it("T-42 of large bodies full of brackets serves other users", async () => {
    flood = longFlood(32, repeated("[".repeat(16 * MIB)));
    await served(async () => (await refused("invalid-request")) > 3);
  });

  it("T-41 of bodies that are too large serves other users", async () => {
    flood = longFlood(32, repeated("p".repeat(17 * MIB)));
    await served(async () => (await refused("body-too-large")) > 3);
  });

  it("T-44 of slow writers ends them in time, and serves other users meanwhile", async () => {
    // Each that comes again sends megabytes: more than a busy machine has CPU for.
    flood = longFlood(300, slowWriter(16 * MIB, 2 * MIB), 5 * PAUSE);
    // On a busy machine there may be room again for each that comes: then it ends in time.
    const ended = async () => (await refused("overloaded")) + (await refused("request-timeout"));
    await served(async () => (await ended()) > 50);
    flood.end();
    const before = await refused("request-timeout");
    flood = new Flood(server.port, 300, slowWriter(2000, 1000));
    await served(async () => (await refused("request-timeout")) > before + 50);
  });

  it("T-45 of slow readers ends them in time, and serves other users meanwhile", async () => {
    const reader = randomPublicKey();
    const client_id = newClient();
    const payload = "p".repeat(5 * MIB);
    for (let operation_index = 0; operation_index < 8; operation_index++) {
      await store(server.url, { user: reader, client_id, operation_index, payload });
    }
    // Each that comes again costs the server megabytes: more than a busy machine has CPU for.
    const pause = 5 * PAUSE;
    flood = longFlood(300, slowReader({ user: reader, client_id: newClient() }), pause);
    // Readers that find room are cut when they take nothing; the others are answered with 503.
    await served(async () => (await metric("sync_stalled_total")) > 0);
    // On a busy machine there may be room again for each that comes.
    await served(
      async () => (await refused("overloaded")) + (await metric("sync_stalled_total")) > 50,
    );
    flood.end();
    await until(async () => (await metric("sync_buffered_bytes")) === 0);
    await until(async () => (await metric("sync_requests_running")) === 1);
  });

  const skip = process.versions.bun ?? process.versions.deno;
  it("T-46 of heads without an end closes them in time, on Node", {
    skip: skip !== undefined,
  }, async () => {
    flood = new Flood(server.port, 500, endlessHead());
    await served(async () => (flood?.statuses.get("408") ?? 0) >= 500);
  });
});

describe("a server whose log is no longer read", () => {
  it("continues, and counts the lost lines", async () => {
    const [command, ...args] = commandFor("server.ts");
    const child = spawn(command, args, {
      cwd: projectFolder,
      env: { ...process.env, PORT: "0", STORAGE: "memory:", LOG: "debug" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [line] = await once(child.stdout, "data");
    const url = /listens on (\S+),/.exec(String(line))?.[1] ?? "";
    child.stderr.destroy();
    const user = new RegularUser(url);
    const lost = async () => {
      await user.sync();
      return (await metricOf(url, "sync_log_lines_lost_total")) > 3;
    };
    await until(lost);
    const ended = once(child, "exit");
    process.kill(child.pid ?? 0, "SIGTERM");
    assert.equal((await ended)[0], 0);
  });
});
