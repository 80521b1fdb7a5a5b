/**
 * The client: what an entry costs to create, to send and to read, beside a floor.
 *
 *     npx tsx bench/client.ts [ENTRIES] [BYTES] [BITS]
 *
 * Everything twice: for entries appended by 1,000, of which each operation has as many as it takes,
 * and for operations of one entry each, as a device sends them that appends one now and then. The
 * server runs in its own process with storage in memory. Where there is a Chromium, it reads as well.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../client/clock.ts";
import { ContentKey } from "../client/content-key.ts";
import { createIdentity } from "../client/identity.ts";
import { type Identity, type Store, SyncClient } from "../client/index.ts";
import { MemoryStore } from "../client/memory.ts";
import { Outbox } from "../client/outbox.ts";
import { FolderStore } from "../client/stores/folder.ts";
import { Transport } from "../client/transport.ts";
import { fromBase64url } from "../protocol/base64.ts";
import { type Bytes, utf8 } from "../protocol/bytes.ts";
import type { Line } from "../protocol/types.ts";
import { chromium, runInChromium } from "../tests/support/chromium.ts";
import { firstSync } from "./lib/first-sync.ts";
import { withTemporaryFolder } from "./lib/folder.ts";
import { currentRuntime, findRuntime } from "./lib/runtimes.ts";
import { NO_LIMITS, startServer } from "./lib/server-process.ts";

const [entries = 100_000, bytes = 200, bits = 3072] = process.argv.slice(2).map(Number);
const data = "x".repeat(bytes);
const passphrase = "a passphrase for the bench";

const server = await startServer(findRuntime(currentRuntime()), {
  STORAGE: "memory:",
  LOG: "error",
  ...NO_LIMITS,
});
try {
  const { identity: many, text: manyKey } = await createIdentity(passphrase, { bits });
  const { identity: single, text: singleKey } = await createIdentity(passphrase, { bits });
  await stage("create one by one, each durable in memory", () => create(many, 1));
  await stage("create by 1,000", () => create(many, 1000));
  await stage("create and send by 1,000", () => fill(many));
  await reading(many);
  await readingInChromium(manyKey);
  console.log("\noperations of one entry:");
  await stage("create and send", () => fillSingly(single));
  await reading(single);
  await readingInChromium(singleKey);
  const { rss } = process.memoryUsage();
  console.log(`memory at the end: ${Math.round(rss / 2 ** 20)} MiB`);
} finally {
  await server.stop();
}

/** Each stage does one thing more than the stage before. */
async function reading(identity: Identity): Promise<void> {
  await stage("receive the bytes", () => receive(identity));
  await stage("  + read the lines", () => read(identity));
  await stage("  + decode and decrypt: the floor", () => floor(identity));
  await stage("first sync, store in memory", () =>
    firstSync(server.url, identity, new MemoryStore()),
  );
  await withTemporaryFolder(tmpdir(), async (folder) => {
    const store = await FolderStore.open(join(folder, "store"), identity);
    await stage("first sync, store in a folder", () => firstSync(server.url, identity, store));
  });
}

async function readingInChromium(key: string): Promise<void> {
  if (chromium === undefined) return;
  const given = { url: server.url, key, passphrase, entries };
  const seconds = await runInChromium(join("..", "..", "bench", "client-page.ts"), given);
  for (const [store, took] of Object.entries(seconds ?? {})) {
    print(`first sync in Chromium, ${store}`, entries, took);
  }
}

function print(name: string, done: number, seconds: number, more = ""): void {
  const rate = Math.round(done / seconds).toLocaleString("en");
  console.log(
    `${name.padEnd(42)} ${seconds.toFixed(1).padStart(6)} s ${rate.padStart(9)} entries/s${more}`,
  );
}

async function stage(name: string, work: () => Promise<number>): Promise<void> {
  const since = performance.now();
  const cpu = process.cpuUsage();
  const done = await work();
  const seconds = (performance.now() - since) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const each = ((user + system) / done).toFixed(1);
  print(name, done, seconds, ` ${each.padStart(8)} µs CPU each`);
}

/** Creates entries on a device that never reaches a server, so many with one durable write. */
async function create(identity: Identity, atOnce: number): Promise<number> {
  const client = await SyncClient.open({
    url: server.url,
    identity,
    store: new MemoryStore(),
    receive: () => undefined,
    fetch: () => new Promise(() => undefined),
  });
  for (let done = 0; done < entries; done += atOnce) await appendSome(client, atOnce);
  await client.close();
  return entries;
}

/** Creates and sends entries, by one device, to which the server has said how much it takes. */
async function fill(identity: Identity): Promise<number> {
  const store = new MemoryStore();
  const client = await openToSend(identity, store);
  await client.sync();
  for (let done = 0; done < entries; done += 1000) {
    await appendSome(client, Math.min(1000, entries - done));
  }
  await untilSent(client);
  await client.close();
  await reportLengths(store);
  return entries;
}

/** The same, with an operation for each entry. */
async function fillSingly(identity: Identity): Promise<number> {
  const store = new MemoryStore();
  const outbox = await Outbox.open(store, identity, await store.load());
  const entry = utf8(data);
  for (let done = 0; done < entries; done++) {
    await outbox.append([entry], 0);
    await outbox.sealWaiting();
  }
  const client = await openToSend(identity, store);
  await untilSent(client);
  await client.close();
  await reportLengths(store);
  return entries;
}

function openToSend(identity: Identity, store: Store): Promise<SyncClient> {
  return SyncClient.open({
    url: server.url,
    identity,
    store,
    receive: () => undefined,
    // The first signature of a user would make the server refuse the unsigned stages.
    sign: false,
  });
}

async function appendSome(client: SyncClient, count: number): Promise<void> {
  if (count === 1) await client.append(data);
  else await client.appendAll(Array.from({ length: count }, () => data));
}

async function reportLengths(store: Store): Promise<void> {
  const [own] = (await store.load()).own;
  const payloads = own ? await store.read(own.client, 0, Infinity, Infinity) : [];
  const [first, second] = payloads.map(({ length }) => length.toLocaleString("en"));
  const all = payloads.reduce((sum, { length }) => sum + length, 0) / 1e6;
  console.log(
    `${payloads.length.toLocaleString("en")} operations of ${all.toFixed(1)} MB; the first of a session ` +
      `has ${first} characters, the second ${second}`,
  );
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
  if (size < entries * bytes) throw new Error(`received only ${size} bytes`);
  return entries;
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
  for await (const run of runs(identity)) if (run.length === 0) throw new Error("an empty run");
  return entries;
}

/** What cannot be spared: each payload is decoded, and decrypted with a key that is known. */
async function floor(identity: Identity): Promise<number> {
  const key = await ContentKey.derive(new Uint8Array(32), utf8("the floor"));
  const nonce = new Uint8Array(12);
  const associated = new Uint8Array(75);
  const sealed = new Map<number, Bytes>();
  for await (const run of runs(identity)) {
    const open = async ({ payload }: Line) => {
      const length = fromBase64url(payload)?.length ?? 0;
      const ciphertext =
        sealed.get(length) ?? (await key.encrypt(nonce, associated, new Uint8Array(length)));
      sealed.set(length, ciphertext);
      await key.decrypt(nonce, associated, ciphertext);
    };
    await Promise.all(run.map(open));
  }
  return entries;
}
