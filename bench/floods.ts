/**
 * What floods do to the memory of a server, and to the latency of a regular user, on the runtime
 * that runs this:
 *
 *     node --import tsx bench/floods.ts [SECONDS]
 *
 * Server and flood run in their own processes. The flood comes from loopback. The user comes by the
 * header of a trusted proxy, and so from another network address.
 */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
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
} from "./lib/flood.ts";
import { withTemporaryFolder } from "./lib/folder.ts";
import { memoryOf } from "./lib/memory.ts";
import { currentRuntime, findRuntime } from "./lib/runtimes.ts";
import { percentile } from "./lib/sample.ts";
import { type ServerProcess, startServer } from "./lib/server-process.ts";
import { formatNumber, table } from "./lib/table.ts";
import { randomPublicKey } from "./lib/users.ts";

const MIB = 2 ** 20;

const HEAD = [
  "Flood",
  "Connections",
  "Memory before, MB",
  "Most",
  "3 s after",
  "User's responses",
  "p50, ms",
  "p99, ms",
  "Refused",
  "Responses to the flood",
];

interface Kind {
  readonly name: string;
  readonly connections: number;
  readonly behavior: () => Behavior;
  /** Operations stored beforehand, and the bytes of each. */
  readonly stored?: readonly [operations: number, bytes: number];
}

/** @param user the public key of the user whom slow readers read */
function kinds(user: string): Kind[] {
  const reader = () => slowReader({ user, client_id: randomUUID() });
  const payload = () => "p".repeat(16 * MIB - 100);
  return [
    { name: "none", connections: 0, behavior: () => newUsers({}) },
    { name: "polls of new keys", connections: 64, behavior: () => newUsers({}) },
    {
      name: "appends of new keys",
      connections: 64,
      behavior: () => newUsers({ operation_index: 0, payload: "sealed" }),
    },
    {
      name: "16 MiB of text",
      connections: 64,
      behavior: () => repeated(`{"payload":"${payload()}"}`),
    },
    { name: "16 MiB of brackets", connections: 64, behavior: () => repeated("[".repeat(16 * MIB)) },
    { name: "bodies of 20 MiB", connections: 64, behavior: () => repeated("p".repeat(20 * MIB)) },
    {
      name: "slow writers: 8 MiB of 16",
      connections: 1500,
      behavior: () => slowWriter(16 * MIB, 8 * MIB),
    },
    { name: "slow writers: 1 kB of 2", connections: 1500, behavior: () => slowWriter(2000, 1000) },
    {
      name: "slow readers of 80 MB",
      connections: 1500,
      behavior: reader,
      stored: [5000, 16_384],
    },
    {
      name: "slow readers of 4 × 15 MiB",
      connections: 1500,
      behavior: reader,
      stored: [4, 15 * MIB],
    },
    { name: "heads without an end", connections: 3000, behavior: endlessHead },
  ];
}

const [seconds = "10", port, name, user = randomPublicKey()] = process.argv.slice(2);
if (port === undefined) await measureAll(Number(seconds), user);
else await flood(Number(port), name, user);

/** The child process: floods until standard input ends, and prints the responses. */
async function flood(port: number, name: string | undefined, user: string): Promise<void> {
  const kind = kinds(user).find((kind) => kind.name === name);
  if (kind === undefined) throw new Error(`there is no flood ${name}`);
  const flood = new Flood(port, kind.connections, kind.behavior());
  await text(process.stdin);
  const { opened } = flood;
  flood.end();
  const responses = [...flood.statuses].map(([status, count]) => `${count} × ${status}`);
  console.log([`${opened} connections`, ...responses].join(", "));
  process.exit();
}

async function measureAll(seconds: number, user: string): Promise<void> {
  const runtime = findRuntime(currentRuntime());
  const lines: string[][] = [];
  for (const kind of kinds(user)) {
    await withTemporaryFolder(tmpdir(), async (folder) => {
      const server = await startServer(runtime, {
        ...BEHIND_PROXY,
        HOST: "localhost",
        STORAGE: join(folder, "data"),
        RATE_LIMIT: "20",
        NEW_USERS_PER_HOUR: "100",
        CLIENT_TIMEOUT: "5s",
      });
      if (kind.stored !== undefined) await fill(server.url, user, ...kind.stored);
      lines.push(await measure(server, kind, seconds, user));
      await server.stop();
    });
    console.error(kind.name);
  }
  console.log(table(HEAD, lines, 1));
}

/** Stores the log that slow readers read. */
async function fill(url: string, user: string, operations: number, bytes: number): Promise<void> {
  const client_id = randomUUID();
  const batch = Math.max(1, Math.floor((15 * MIB) / bytes));
  for (let operation_index = 0; operation_index < operations; operation_index += batch) {
    const count = Math.min(batch, operations - operation_index);
    const payload = Array.from({ length: count }, () => "p".repeat(bytes));
    const response = await fetch(new URL("/sync", url), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ user, client_id, operation_index, payload }),
    });
    const answer = await response.text();
    if (response.status !== 200) throw new Error(`the log could not be stored: ${answer}`);
  }
}

async function measure(
  server: ServerProcess,
  kind: Kind,
  seconds: number,
  user: string,
): Promise<string[]> {
  const regular = new RegularUser(server.url);
  for (let i = 0; i < 20; i++) await regular.sync();
  regular.latencies.length = 0;
  const before = memoryOf(server.pid).now;

  const [command, ...args] = findRuntime(currentRuntime()).command;
  const own = [fileURLToPath(import.meta.url), String(seconds), new URL(server.url).port];
  const child = spawn(command, [...args, ...own, kind.name, user], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const printed = text(child.stdout);
  const ended = once(child, "close");
  const until = performance.now() + seconds * 1000;
  let refused = 0;
  let most = before;
  while (performance.now() < until) {
    await regular.sync().catch((error: unknown) => {
      if (refused++ === 0) console.error(kind.name, error);
    });
    most = Math.max(most, memoryOf(server.pid).now);
    await sleep(50);
  }
  child.stdin.end();
  await ended;
  await sleep(3000);

  const { latencies } = regular;
  return [
    kind.name,
    String(kind.connections),
    ...[before, most, memoryOf(server.pid).now].map((bytes) => formatNumber(bytes / 1e6)),
    String(latencies.length),
    ...[0.5, 0.99].map((quantile) => formatNumber(percentile(latencies, quantile))),
    String(refused),
    (await printed).trim(),
  ];
}
