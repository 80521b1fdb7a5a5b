/**
 * What floods do to a server, and to a user who means no harm, on the runtime that runs this:
 *
 *     node --import tsx bench/floods.ts [seconds]
 *
 * Server and flood are processes of their own. The flood comes from loopback, the user by the
 * header of a trusted proxy, and so from another network address.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import {
  BEHIND_PROXY,
  Flood,
  GoodUser,
  madeUpKey,
  memoryOf,
  newcomers,
  overAndOver,
  slowReader,
  slowWriter,
} from "../tests/support/floods.ts";
import { temporaryFolder } from "../tests/support/folder.ts";
import { sync } from "../tests/support/http.ts";
import { commandFor, type ServerProcess, startServer } from "../tests/support/process.ts";
import { newClient } from "../tests/support/users.ts";

const MIB = 2 ** 20;

interface Kind {
  readonly what: string;
  readonly connections: number;
  readonly begin: () => Flood["begin"];
  /** What is stored beforehand: operations, and the bytes of each. */
  readonly stored?: readonly [operations: number, bytes: number];
}

const reader = madeUpKey();

/** @param user whom slow readers read */
function kinds(user: string): Kind[] {
  const reads = () => slowReader({ user, client_id: newClient() });
  const sealed = () => "p".repeat(16 * MIB - 100);
  return [
    { what: "none", connections: 0, begin: () => newcomers({}) },
    { what: "polls of new keys", connections: 64, begin: () => newcomers({}) },
    {
      what: "appends of new keys",
      connections: 64,
      begin: () => newcomers({ operation_index: 0, payload: "sealed" }),
    },
    {
      what: "16 MiB of text",
      connections: 64,
      begin: () => overAndOver(`{"payload":"${sealed()}"}`),
    },
    { what: "16 MiB of brackets", connections: 64, begin: () => overAndOver("[".repeat(16 * MIB)) },
    { what: "bodies of 20 MiB", connections: 64, begin: () => overAndOver("p".repeat(20 * MIB)) },
    {
      what: "slow writers: 8 MiB of 16",
      connections: 1500,
      begin: () => slowWriter(16 * MIB, 8 * MIB),
    },
    { what: "slow writers: 1 kB of 2", connections: 1500, begin: () => slowWriter(2000, 1000) },
    { what: "slow readers of 80 MB", connections: 1500, begin: reads, stored: [5000, 16_384] },
    {
      what: "slow readers of 4 × 15 MiB",
      connections: 1500,
      begin: reads,
      stored: [4, 15 * MIB],
    },
    {
      what: "heads without an end",
      connections: 3000,
      begin: () => (socket) => socket.write("POST /sync HTTP/1.1\r\nA: "),
    },
  ];
}

const [first = "10", port, what, user = reader] = process.argv.slice(2);
const known = kinds(user);
if (port === undefined) await all(Number(first));
else
  await flood(
    Number(port),
    known.find((kind) => kind.what === what),
  );

/** Floods until standard input ends, and prints what was answered. */
async function flood(port: number, kind: Kind | undefined): Promise<void> {
  if (kind === undefined) throw new Error("there is no such flood");
  const flood = new Flood(port, kind.connections, kind.begin());
  await text(process.stdin);
  const { opened } = flood;
  flood.end();
  const answers = [...flood.statuses].map(([status, count]) => `${count} × ${status}`);
  console.log([`${opened} connections`, ...answers].join(", "));
  process.exit();
}

async function all(seconds: number): Promise<void> {
  const columns = ["Flood", "connections", "memory before, MB", "at most", "3 s after"];
  columns.push("user's answers", "median, ms", "99 %", "refused", "the flood's answers");
  console.log(`| ${columns.join(" | ")} |\n|${columns.map(() => "---|").join("")}`);
  for (const kind of known) {
    const folder = temporaryFolder();
    const server = await startServer({
      ...BEHIND_PROXY,
      STORAGE: join(folder.path, "data"),
      RATE_LIMIT: "20",
      NEW_USERS_PER_HOUR: "100",
      CLIENT_TIMEOUT: "5s",
    });
    if (kind.stored !== undefined) await fill(server.url, ...kind.stored);
    console.log(await underFlood(server, kind, seconds));
    await server.end("SIGKILL");
    folder.remove();
  }
}

/** Stores what slow readers are to read. */
async function fill(url: string, operations: number, bytes: number): Promise<void> {
  const client_id = newClient();
  const batch = Math.max(1, Math.floor((15 * MIB) / bytes));
  for (let first = 0; first < operations; first += batch) {
    const payload = Array.from({ length: Math.min(batch, operations - first) }, () =>
      "p".repeat(bytes),
    );
    const { status } = await sync(url, {
      user: reader,
      client_id,
      operation_index: first,
      payload,
    });
    if (status !== 200) throw new Error(`the log could not be filled: ${status}`);
  }
}

async function underFlood(server: ServerProcess, kind: Kind, seconds: number): Promise<string> {
  const user = new GoodUser(server.url);
  for (let i = 0; i < 20; i++) await user.sync();
  user.times.length = 0;
  const before = memoryOf(server.pid).now;

  const [command, ...args] = commandFor(fileURLToPath(import.meta.url));
  const rest = [String(seconds), String(server.port), kind.what, reader];
  const child = spawn(command, [...args, ...rest], { stdio: ["pipe", "pipe", "inherit"] });
  const printed = text(child.stdout);
  const until = performance.now() + seconds * 1000;
  let refused = 0;
  let most = before;
  while (performance.now() < until) {
    await user.sync().catch((error: unknown) => {
      if (refused++ === 0)
        console.error(kind.what, String(error), error instanceof Error && error.cause);
    });
    most = Math.max(most, memoryOf(server.pid).now);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  child.stdin.end();
  await once(child, "close");
  await new Promise((resolve) => setTimeout(resolve, 3000));

  const times = user.times.sort((a, b) => a - b);
  const at = (part: number) => (times[Math.floor(times.length * part)] ?? Number.NaN).toFixed(0);
  const mb = (bytes: number) => (bytes / 1e6).toFixed(0);
  const memory = [before, most, memoryOf(server.pid).now].map(mb);
  const answers = [times.length, at(0.5), at(0.99), refused, (await printed).trim()];
  return `| ${[kind.what, kind.connections, ...memory, ...answers].join(" | ")} |`;
}
