/**
 * Documents of Yjs: what a new device costs with a snapshot and without, beside Yjs alone.
 *
 *     npx tsx bench/documents.ts [FOLDER] [UPDATES]
 *
 * FOLDER has recorded edits, `*.json.gz` of the collection https://github.com/josephg/editing-traces;
 * without one, a text is made up. Each edit is an update, and an entry of its own. The server runs in
 * its own process with storage in memory; for what is left after RETENTION, in this one, with a clock
 * that jumps.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import * as Y from "yjs";
import { systemClock } from "../client/clock.ts";
import { entryOf, nameBytes } from "../client/documents/entry.ts";
import { SyncDocuments } from "../client/documents.ts";
import { createIdentity } from "../client/identity.ts";
import { type Clock, type Identity, SyncClient } from "../client/index.ts";
import { MemoryStore } from "../client/memory.ts";
import { YjsProvider } from "../client/yjs.ts";
import { readConfig } from "../server/config.ts";
import { createLogger } from "../server/logger.ts";
import { createHandler } from "../server.ts";
import { openStorage } from "../storage/open.ts";
import { currentRuntime, findRuntime } from "./lib/runtimes.ts";
import { NO_LIMITS, startServer } from "./lib/server-process.ts";

interface Trace {
  readonly startContent: string;
  readonly txns: readonly { readonly patches: readonly [number, number, string][] }[];
}

/** Where a device syncs: over the network, or with a server in this process. */
interface Place {
  readonly url: string;
  readonly fetch?: (request: Request) => Promise<Response>;
  readonly clock?: Clock;
}

const NAME = "document";
const APPENDED_AT_ONCE = 1000;
const ROUNDS = 5;
const EDITS_IN_A_TURN = 20;
/** The share of updates that the older one of two snapshots stands for. */
const BEFORE_THE_FIRST = 0.8;
const HOUR = 3_600_000;

const [folder, most = "100000"] = process.argv.slice(2);
const { identity } = await createIdentity("a passphrase for the bench");

if (folder === undefined) {
  console.log("a text that is made up: no folder of recorded edits was named");
  await measure("made up", madeUp(Number(most)));
} else {
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".json.gz"))) {
    const trace: Trace = JSON.parse(gunzipSync(readFileSync(join(folder, file))).toString());
    await measure(file, trace);
  }
}

async function measure(name: string, trace: Trace): Promise<void> {
  const { updates, text } = updatesOf(trace, Number(most));
  console.log(`\n${name}: ${updates.length} updates, ${text.length} characters`);
  const { identity: user } = await createIdentity("a passphrase for the bench");
  const alone = await median(async () => applied(updates, text));
  row("apply the updates by Yjs alone", `${alone.toFixed(0)} ms`);
  const server = await startServer(findRuntime(currentRuntime()), {
    STORAGE: "memory:",
    LOG: "error",
    ...NO_LIMITS,
  });
  try {
    const place = { url: server.url };
    await append(place, user, updates);
    const all = await newDevice(place, user, text);
    row("new device, all updates", `${all.ms.toFixed(0)} ms, ${kib(all.bytes)}`);
    row("  beside Yjs alone", `${(all.ms / alone).toFixed(1)} times (goal: 3)`);
    const { identity: other } = await createIdentity("a passphrase for the bench");
    const logs = inTurns(trace, Number(most));
    for (const log of logs) await append(place, other, log);
    const both = await newDevice(place, other, text);
    row("new device, of two in turns", `${both.ms.toFixed(0)} ms, ${kib(both.bytes)}`);
    row("  beside Yjs alone", `${(both.ms / alone).toFixed(1)} times`);
    await makeSnapshot(place, user);
    const some = await newDevice(place, user, text);
    row("new device, with a snapshot", `${some.ms.toFixed(0)} ms (goal: 300), ${kib(some.bytes)}`);
    row("  of the bytes of all", `1/${(all.bytes / some.bytes).toFixed(0)} (goal: 1/20)`);
  } finally {
    await server.stop();
  }
  await afterRetention(updates, text);
}

/** What the server stores once it has deleted what snapshots stand for. */
async function afterRetention(updates: readonly Uint8Array[], text: string): Promise<void> {
  let passed = 0;
  const now = () => Date.now() + passed;
  const driver = await openStorage("memory:");
  const settings = { RETENTION: "1h", PACKED_RETENTION: "1m", LISTING_TTL: "0", LOG: "error" };
  const config = readConfig({ ...NO_LIMITS, ...settings });
  const server = createHandler({ config, driver, logger: createLogger("error"), time: now, now });
  const stored = async () => (await driver.list("")).reduce((sum, { size }) => sum + size, 0);
  const place: Place = {
    url: "http://sync.example",
    fetch: (request) => server.fetch(request),
    clock: { now, sleep: (milliseconds, signal) => systemClock.sleep(milliseconds, signal) },
  };
  // Two snapshots stay, so the log goes on from the first of them.
  const half = Math.floor(updates.length * BEFORE_THE_FIRST);
  await append(place, identity, updates.slice(0, half));
  await makeSnapshot(place, identity);
  const between = await stored();
  await append(place, identity, updates.slice(half));
  const before = await stored();
  await makeSnapshot(place, identity);
  const snapshot = (await stored()) - before;
  const least = snapshot + before - between;
  for (let times = 0; times < 3; times++) {
    passed += 2 * HOUR;
    await newDevice(place, identity, text);
    await server.trimmed();
  }
  const after = await stored();
  row("stored, before RETENTION", kib(before));
  row("stored, after it", kib(after));
  row("  beside a snapshot and the tail", `${(after / least).toFixed(1)} times (goal: 2)`);
}

/** The updates of the first edits, and the text after them. */
function updatesOf(trace: Trace, count: number) {
  const doc = new Y.Doc();
  const updates: Uint8Array[] = [];
  doc.on("update", (update: Uint8Array) => updates.push(update));
  write(trace, count, () => doc);
  return { updates, text: doc.getText("text").toString() };
}

/** The updates of two devices that make the same edits in turns, each with what the other has made. */
function inTurns(trace: Trace, count: number): Uint8Array[][] {
  const docs = [new Y.Doc(), new Y.Doc()] as const;
  const logs = docs.map((doc, i) => {
    const log: Uint8Array[] = [];
    doc.on("update", (update: Uint8Array, origin: unknown) => {
      if (origin === "other") return;
      log.push(update);
      Y.applyUpdate(docs[1 - i] ?? doc, update, "other");
    });
    return log;
  });
  write(trace, count, (edit) => docs[Math.floor(edit / EDITS_IN_A_TURN) % 2 === 0 ? 0 : 1]);
  return logs;
}

/** Makes the first edits, each in the document that is chosen for it. */
function write(
  { startContent, txns }: Trace,
  count: number,
  docFor: (edit: number) => Y.Doc,
): void {
  if (startContent !== "") docFor(0).getText("text").insert(0, startContent);
  const edits = startContent === "" ? count : count - 1;
  for (const [i, { patches }] of txns.slice(0, edits).entries()) {
    const doc = docFor(i);
    const text = doc.getText("text");
    doc.transact(() => {
      for (const [at, deleted, inserted] of patches) {
        if (deleted > 0) text.delete(at, deleted);
        if (inserted !== "") text.insert(at, inserted);
      }
    });
  }
}

/** Words that are typed one after the other, in places that jump, with corrections. */
function madeUp(count: number): Trace {
  let length = 0;
  let at = 0;
  const txns = Array.from({ length: count }, (_, i): Trace["txns"][number] => {
    if (i % 200 === 0) at = (i * 7919) % (length + 1);
    if (i % 11 === 10 && at > 0) {
      length--;
      return { patches: [[--at, 1, ""]] };
    }
    length++;
    return { patches: [[at++, 0, "abcdefghij klmno "[i % 17] ?? " "]] };
  });
  return { startContent: "", txns };
}

function applied(updates: readonly Uint8Array[], text: string): void {
  const doc = new Y.Doc();
  doc.transact(() => {
    for (const update of updates) Y.applyUpdate(doc, update);
  });
  check(doc, text);
}

async function append(place: Place, user: Identity, updates: readonly Uint8Array[]): Promise<void> {
  const options = { ...place, identity: user, store: new MemoryStore(), receive: () => undefined };
  const client = await SyncClient.open(options);
  await client.sync();
  const name = nameBytes(NAME);
  for (let at = 0; at < updates.length; at += APPENDED_AT_ONCE) {
    const some = updates.slice(at, at + APPENDED_AT_ONCE);
    await client.appendAll(some.map((update) => entryOf(name, update)));
  }
  await client.sync();
  await client.close();
}

/** A device that has everything makes a snapshot, and the server has it. */
async function makeSnapshot(place: Place, user: Identity): Promise<void> {
  const store = new MemoryStore();
  const options = { ...place, identity: user, store, snapshotEvery: 1, random: () => 0 };
  const documents = await SyncDocuments.open({ ...options, pollInterval: Infinity });
  const provider = new YjsProvider(documents, NAME);
  // A sign that it was here: a snapshot needs something new.
  provider.doc.getMap("seen").set(crypto.randomUUID(), true);
  await documents.flush();
  await documents.client.sync();
  await documents.client.sync();
  await documents.close();
}

/** How long a new device takes until the text is there, and how much it receives. */
async function newDevice(place: Place, user: Identity, text: string) {
  let bytes = 0;
  const ms = await median(async () => {
    bytes = 0;
    const answer = place.fetch ?? ((request: Request) => fetch(request));
    const documents = await SyncDocuments.open({
      ...place,
      fetch: async (request) => counted(await answer(request), (length) => (bytes += length)),
      identity: user,
      store: new MemoryStore(),
      snapshotEvery: Infinity,
      pollInterval: Infinity,
    });
    const provider = new YjsProvider(documents, NAME);
    await provider.whenSynced;
    check(provider.doc, text);
    return documents;
  });
  return { ms, bytes };
}

function counted(response: Response, count: (length: number) => void): Response {
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform: (chunk, controller) => {
      count(chunk.length);
      controller.enqueue(chunk);
    },
  });
  const { status, headers, body } = response;
  return new Response(body?.pipeThrough(counter), { status, headers });
}

function check(doc: Y.Doc, text: string): void {
  if (doc.getText("text").toString() !== text) throw new Error("the text is not the one written");
}

/** The median time of some rounds; what a round returns is closed afterwards. */
async function median(work: () => Promise<{ close(): Promise<void> } | void>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    const opened = await work();
    times.push(performance.now() - start);
    await opened?.close();
  }
  return times.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? Number.NaN;
}

function row(what: string, value: string): void {
  console.log(`  ${what.padEnd(36)} ${value}`);
}

function kib(bytes: number): string {
  return `${(bytes / 1024).toFixed(0)} KiB`;
}
