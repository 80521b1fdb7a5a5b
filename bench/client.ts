/**
 * The client: what an operation costs to create, to send and to read, beside a floor.
 *
 *     npx tsx bench/client.ts [OPERATIONS] [CLIENTS] [BYTES] [BITS]
 *
 * The server runs in its own process with storage in memory. Each stage of reading does one thing more
 * than the stage before, so the differences are the costs of these things.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../client/clock.ts";
import { createIdentity } from "../client/identity.ts";
import { type Identity, type Store, SyncClient } from "../client/index.ts";
import { MemoryStore } from "../client/memory.ts";
import { FolderStore } from "../client/stores/folder.ts";
import { Transport } from "../client/transport.ts";
import { RunVerifier } from "../client/verify.ts";
import { fromBase64url } from "../protocol/base64.ts";
import type { Line } from "../protocol/types.ts";
import { withTemporaryFolder } from "./lib/folder.ts";
import { currentRuntime, findRuntime } from "./lib/runtimes.ts";
import { NO_LIMITS, startServer } from "./lib/server-process.ts";

const [operations = 100_000, clients = 1, bytes = 200, bits = 3072] = process.argv
  .slice(2)
  .map(Number);
const data = "x".repeat(bytes);

const server = await startServer(findRuntime(currentRuntime()), {
  STORAGE: "memory:",
  LOG: "error",
  ...NO_LIMITS,
});
try {
  const { identity } = await createIdentity("a passphrase for the bench", { bits });
  await stage("create, one by one", () => create(identity, 1));
  await stage("create, 1,000 at a time", () => create(identity, 1000));
  await stage(`create and send, 1,000 at a time (${clients} in turns)`, () => fill(identity));
  // From here on the caches of the server are warm, for all stages alike.
  await stage("receive the bytes", () => receive(identity));
  await stage("  + read the lines", () => read(identity));
  await stage("  + decode and decrypt: the floor", () => floor(identity));
  await stage("  + verify and decrypt", () => verify(identity));
  await stage("whole client, store in memory", () => sync(identity, new MemoryStore()));
  await withTemporaryFolder(tmpdir(), async (folder) => {
    const store = await FolderStore.open(join(folder, "store"), identity);
    await stage("whole client, store in a folder", () => sync(identity, store));
  });
  const { rss } = process.memoryUsage();
  console.log(`memory at the end: ${Math.round(rss / 2 ** 20)} MiB`);
} finally {
  await server.stop();
}

async function stage(name: string, work: () => Promise<number>): Promise<void> {
  const since = performance.now();
  const cpu = process.cpuUsage();
  const done = await work();
  const seconds = (performance.now() - since) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const rate = Math.round(done / seconds).toLocaleString("en");
  const each = ((user + system) / done).toFixed(1);
  console.log(
    `${name.padEnd(46)} ${seconds.toFixed(1).padStart(6)} s ${rate.padStart(9)} operations/s ${each.padStart(8)} µs CPU each`,
  );
}

/** Creates the operations on a device that never reaches a server, so many with one durable write. */
async function create(identity: Identity, atOnce: number): Promise<number> {
  const client = await SyncClient.open({
    url: server.url,
    identity,
    store: new MemoryStore(),
    receive: () => undefined,
    fetch: () => new Promise(() => undefined),
  });
  const count = Math.min(operations, 20_000);
  for (let done = 0; done < count; done += atOnce) await appendSome(client, atOnce);
  await client.close();
  return count;
}

/** Stores the operations, by one client after the other: what one appends, no other has to read. */
async function fill(identity: Identity): Promise<number> {
  const each = operations / clients;
  for (let i = 0; i < clients; i++) {
    const store = new MemoryStore();
    const client = await SyncClient.open({
      url: server.url,
      identity,
      store,
      receive: () => undefined,
      // The first signature of a user would make the server refuse the unsigned stages.
      sign: false,
    });
    for (let done = 0; done < each; done += 1000)
      await appendSome(client, Math.min(1000, each - done));
    await untilSent(client);
    if (i === 0) await reportLengths(store);
    await client.close();
  }
  return operations;
}

async function appendSome(client: SyncClient, count: number): Promise<void> {
  if (count === 1) await client.append(data);
  else await client.appendAll(Array.from({ length: count }, () => data));
}

async function reportLengths(store: Store): Promise<void> {
  const [own] = (await store.load()).own;
  const payloads = own ? await store.read(own.client, 0, 2, Number.POSITIVE_INFINITY) : [];
  const [first, later] = payloads.map(({ length }) => length.toLocaleString("en"));
  console.log(`a payload has ${later} characters, the first of a session ${first}`);
}

/** Waits until a client has sent everything. A whole `sync` would also read the other clients' operations. */
async function untilSent(client: SyncClient): Promise<void> {
  const sent = new AbortController();
  const polling = setInterval(() => {
    if (client.status.pending === 0) sent.abort();
  }, 10);
  await client.sync(sent.signal).catch((error: unknown) => {
    if (!sent.signal.aborted) throw error;
  });
  clearInterval(polling);
}

async function receive(identity: Identity): Promise<number> {
  const response = await fetch(new URL("/sync", server.url), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ client_id: crypto.randomUUID(), user: identity.publicKey }),
  });
  let size = 0;
  for await (const chunk of response.body ?? []) size += chunk.length;
  if (size < operations * bytes) throw new Error(`received only ${size} bytes`);
  return Number(response.headers.get("operation-count"));
}

/** All lines, in runs of one client as the inbox groups them. */
async function* runs(identity: Identity): AsyncGenerator<Line[], void, void> {
  const transport = new Transport({
    url: server.url,
    identity,
    clock: systemClock,
    fetch: (request) => fetch(request),
    sign: false,
    idleTimeout: 60_000,
  });
  const request = { client: crypto.randomUUID(), first: undefined, payloads: [], status: {} };
  let run: Line[] = [];
  for await (const lines of transport.sync(request, new AbortController().signal)) {
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

/** What cannot be spared: each payload is decoded, and decrypted with a key that is known. */
async function floor(identity: Identity): Promise<number> {
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, [
    "encrypt",
    "decrypt",
  ]);
  const iv = new Uint8Array(12);
  const additionalData = new Uint8Array(75);
  const algorithm = { name: "AES-GCM", iv, additionalData };
  const sealed = new Uint8Array(await crypto.subtle.encrypt(algorithm, key, new Uint8Array(bytes)));
  let count = 0;
  for await (const run of runs(identity)) {
    const open = async ({ payload }: Line) => {
      if (fromBase64url(payload) === undefined) throw new Error("a payload is not base64url");
      await crypto.subtle.decrypt(algorithm, key, sealed);
    };
    await Promise.all(run.map(open));
    count += run.length;
  }
  return count;
}

async function verify(identity: Identity): Promise<number> {
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
    sign: false,
    receive: (received) => {
      count += received.length;
    },
  });
  await client.sync();
  await client.close();
  return count;
}
