/** A server with devices, compaction, retention and erasures, and copies that are made meanwhile. */
import assert from "node:assert/strict";
import { clearInterval, setInterval } from "node:timers";
import { setTimeout as sleep } from "node:timers/promises";
import { verify } from "../../../commands/verify/verify.ts";
import type { Driver } from "../../../storage/driver.ts";
import { openStorage, openToRead } from "../../../storage/open.ts";
import { runCommand } from "../../support/commands.ts";
import { copyBetween } from "../../support/copies.ts";
import type { Operation } from "../../support/http.ts";
import { type InProcessServer, inProcessServer } from "../../support/signing.ts";
import { Random } from "../../support/simulation/random.ts";
import type { Line } from "../../support/snapshots.ts";
import { type Acknowledged, Devices } from "./devices.ts";

/** The clock of the server is set forward so far, so often: snapshots become old enough within a second. */
const STEP = 20 * 60_000;
const EVERY = 300;

/** Copies begin once so many operations are stored. */
const FEWEST = 300;

const SETTINGS = { COMPACTION: "on", RETENTION: "1h", PACKED_RETENTION: "5m", LISTING_TTL: "1s" };

export interface RoundOptions {
  readonly seed: number;
  readonly from: string;
  /** A new place for each full copy. */
  readonly newPlace: () => string;
  /** How long it goes on, in milliseconds; so many copies are made at least. */
  readonly time: number;
  readonly copies: number;
  readonly say: (line: string) => void;
}

/** What a round has seen. */
export interface Seen {
  readonly copies: number;
  readonly devices: Pick<Devices, "operations" | "snapshots" | "erased">;
  /** Objects that compaction deleted, and operations that retention did. */
  readonly packed: number;
  readonly trimmed: number;
}

export async function runRound(options: RoundOptions): Promise<Seen> {
  const { seed, from, newPlace, copies, say } = options;
  const random = new Random(seed);
  const source = await openStorage(from, say);
  let ahead = 0;
  const server = serverOn(source, SETTINGS, () => Date.now() + ahead);
  let sweeping = Promise.resolve();
  const stepping = setInterval(() => {
    ahead += STEP;
    // The server would look once a minute.
    sweeping = sweeping.then(() => server.handler.trimmed());
  }, EVERY);
  const devices = await Devices.of(server, random);
  const running = devices.run();
  // It is awaited below.
  running.catch(() => undefined);
  const end = performance.now() + options.time;
  let count = 0;
  let to = newPlace();
  try {
    while (devices.operations < FEWEST) await Promise.race([running, sleep(10)]);
    for (; count < copies || performance.now() < end; count++) {
      // Some copies add to the one before.
      if (random.chance(0.5)) to = newPlace();
      const leaving = random.chance(0.3) ? devices.leave() : undefined;
      if (random.chance(0.5)) await leaving;
      const acknowledged = devices.acknowledged();
      const text = await copyOnce(from, to);
      await leaving;
      await check(to, acknowledged);
      say(`copy ${count}: ${text}, ${devices.operations} operations`);
    }
    const metrics = await metricsOf(server);
    const metric = (label: string) => Number(metrics.get(label) ?? Number.NaN);
    const packed = metric('sync_compaction_total{event="deleted"}');
    const trimmed = metric('sync_retention_total{kind="operations"}');
    return { copies: count, devices, packed, trimmed };
  } finally {
    devices.stop();
    clearInterval(stepping);
    await running;
    await sweeping;
    await server.handler.stop();
    await source.close();
  }
}

async function metricsOf({ handler }: InProcessServer): Promise<Map<string, string>> {
  const response = await handler.fetch(new Request("http://sync.example/metrics"));
  const lines = (await response.text()).split("\n");
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), line.slice(line.lastIndexOf(" "))]),
  );
}

function serverOn(
  driver: Driver,
  settings: Readonly<Record<string, string>>,
  time?: () => number,
): InProcessServer {
  const limits = { operations: 8, bytes: 20_000 };
  const timing = { debounce: 20, maxDelay: 100, deleteDelay: 50, backoff: 100 };
  const clocks = time === undefined ? {} : { time };
  return inProcessServer({ LOG: "error", ...settings }, driver, clocks, { limits, timing });
}

async function copyOnce(from: string, to: string): Promise<string> {
  const damage: string[] = [];
  const source = await openToRead(from, (journal) => damage.push(journal));
  const target = await openStorage(to, undefined, { journal: false });
  const { findings, counts } = await copyBetween(source, target, { parallel: 4, readBack: false });
  await Promise.all([source.close(), target.close()]);
  assert.deepEqual([findings, damage], [[], []]);
  return `${counts.objects} objects, ${counts.present} there already`;
}

/** Opens a copy, and reads it whole. */
async function check(place: string, acknowledged: readonly Acknowledged[]): Promise<void> {
  const { code, lines } = await runCommand(verify, place);
  assert.equal(code, 0, lines.join("\n"));
  const driver = await openStorage(place, undefined, { journal: false });
  const server = serverOn(driver, { COMPACTION: "off" });
  for (const { user, isErased, clients } of acknowledged) {
    const answer = await server.signed(user, { sync_status: {}, snapshots: true });
    // A user who leaves while the copy is made may be in it or not.
    if (answer.status === 410) continue;
    assert.ok(!isErased, "a copy has a user who was erased before");
    assert.equal(answer.status, 200, answer.text);
    const found = linesOf(answer.text);
    for (const [client, payloads] of clients) {
      const covered = found.snapshot?.covers[client] ?? -1;
      const missing = payloads.findIndex(
        (payload, index) => index > covered && found.payloads.get(`${client} ${index}`) !== payload,
      );
      assert.equal(missing, -1, `operation ${missing} of ${payloads.length} of ${client}`);
    }
  }
  await server.handler.stop();
  await driver.close();
}

function linesOf(text: string) {
  const lines = text.split("\n").filter((line) => line !== "");
  const payloads = new Map<string, string>();
  let snapshot: Line["snapshot"];
  for (const line of lines) {
    const { client_id, operation_index, payload, ...rest }: Line & Operation = JSON.parse(line);
    payloads.set(`${client_id} ${operation_index}`, payload);
    snapshot ??= rest.snapshot;
  }
  return { payloads, snapshot };
}
