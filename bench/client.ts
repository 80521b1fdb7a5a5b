/**
 * The first sync of a new device: how many operations a second, and where the time goes.
 *
 *     npx tsx bench/client.ts [OPERATIONS] [CLIENTS] [BYTES] [BITS]
 *
 * The server is a process of its own with storage in memory. Each stage does what the one before it
 * does, and one thing more, so the differences are what each thing costs.
 */
import { join } from "node:path";
import { systemClock } from "../client/clock.ts";
import {
  createIdentity,
  type Identity,
  MemoryStore,
  type Store,
  SyncClient,
} from "../client/index.ts";
import { FolderStore } from "../client/stores/folder.ts";
import { Transport } from "../client/transport.ts";
import { RunVerifier } from "../client/verify.ts";
import type { Line } from "../protocol/types.ts";
import { temporaryFolder } from "../tests/support/folder.ts";
import { startServer } from "../tests/support/process.ts";

const [operations = 100_000, clients = 20, bytes = 200, bits = 3072] = process.argv
  .slice(2)
  .map(Number);

const server = await startServer({ STORAGE: "memory:", LOG: "error" });
const folder = temporaryFolder();
try {
  const { identity } = await createIdentity("a passphrase for the bench", { bits });
  await stage(`seal and send (${clients} clients at once)`, () => fill(identity));
  // The server's caches are warm from here on, for all stages alike.
  await stage("receive the bytes", () => receive(identity));
  await stage("  + read the lines", () => read(identity));
  await stage("  + check and decrypt", () => openAll(identity));
  await stage("whole client, store in memory", () => sync(identity, new MemoryStore()));
  const store = await FolderStore.open(join(folder.path, "store"), identity);
  await stage("whole client, store in a folder", () => sync(identity, store));
  const { rss } = process.memoryUsage();
  console.log(`memory at the end: ${Math.round(rss / 2 ** 20)} MiB`);
} finally {
  await server.end("SIGTERM");
  folder.remove();
}

async function stage(name: string, work: () => Promise<number>): Promise<void> {
  const from = performance.now();
  const cpu = process.cpuUsage();
  const done = await work();
  const seconds = (performance.now() - from) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const rate = Math.round(done / seconds).toLocaleString("en");
  const each = ((user + system) / done).toFixed(1);
  console.log(
    `${name.padEnd(40)} ${seconds.toFixed(1).padStart(6)} s ${rate.padStart(9)} operations/s ${each.padStart(8)} µs CPU each`,
  );
}

/** Fills the server, by the client itself. */
async function fill(identity: Identity): Promise<number> {
  const each = operations / clients;
  const data = "x".repeat(bytes);
  await Promise.all(
    Array.from({ length: clients }, async () => {
      const client = await SyncClient.open({
        url: server.url,
        identity,
        store: new MemoryStore(),
        cursors: [],
        receive: () => undefined,
        // Offline until all is sealed: nobody reads while the log grows.
        fetch: async (request) => (sealed ? fetch(request) : Promise.reject(new Error("later"))),
        random: () => 0,
      });
      let sealed = false;
      for (let done = 0; done < each; done += 500) {
        await client.appendAll(Array.from({ length: Math.min(500, each - done) }, () => data));
      }
      sealed = true;
      await untilSent(client);
      await client.close();
    }),
  );
  return operations;
}

/** Not `sync`: that would read what the others send as well. */
async function untilSent(client: SyncClient): Promise<void> {
  const enough = new AbortController();
  const looking = setInterval(() => {
    if (client.status.pending === 0) enough.abort();
  }, 10);
  await client.sync(enough.signal).catch((error: unknown) => {
    if (!enough.signal.aborted) throw error;
  });
  clearInterval(looking);
}

async function receive(identity: Identity): Promise<number> {
  const response = await fetch(new URL("/sync", server.url), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ client_id: crypto.randomUUID(), user: identity.publicKey }),
  });
  let size = 0;
  for await (const chunk of response.body ?? []) size += chunk.length;
  if (size < operations * bytes) throw new Error(`only ${size} bytes came`);
  return Number(response.headers.get("operation-count"));
}

/** All lines, in runs of one client as the client gathers them. */
async function* runs(identity: Identity): AsyncGenerator<Line[], void, void> {
  const exchange = new Transport({
    url: server.url,
    identity,
    clock: systemClock,
    fetch: (request) => fetch(request),
    sign: false,
    idleTimeout: 60_000,
  });
  const request = { client: crypto.randomUUID(), first: undefined, payloads: [], status: {} };
  let run: Line[] = [];
  for await (const lines of exchange.sync(request, new AbortController().signal)) {
    for (const line of lines) {
      if (run.length === 256 || (run[0] && run[0].client !== line.client)) {
        yield run;
        run = [];
      }
      run.push(line);
    }
  }
  yield run;
}

async function read(identity: Identity): Promise<number> {
  let count = 0;
  for await (const run of runs(identity)) count += run.length;
  return count;
}

async function openAll(identity: Identity): Promise<number> {
  const verifier = new RunVerifier(identity);
  const cursors = new Map();
  let count = 0;
  for await (const run of runs(identity)) {
    const client = run[0]?.client ?? "";
    const {
      operations: opened,
      cursor,
      refusal,
    } = await verifier.verify(client, run, cursors.get(client));
    if (refusal !== undefined) throw new Error(refusal.kind);
    cursors.set(client, cursor);
    count += opened.length;
  }
  return count;
}

async function sync(identity: Identity, store: Store): Promise<number> {
  let count = 0;
  const client = await SyncClient.open({
    url: server.url,
    identity,
    store,
    receive: (received) => {
      count += received.length;
    },
  });
  await client.sync();
  await client.close();
  return count;
}
