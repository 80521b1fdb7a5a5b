import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { OperationTrimmed } from "../../oplog/append-plan.ts";
import type { Covers } from "../../oplog/batch.ts";
import { OperationsLost } from "../../oplog/chunks.ts";
import { CompactionScheduler } from "../../oplog/compaction/scheduler.ts";
import { Listing } from "../../oplog/listing.ts";
import { type Fingerprint, isFingerprint } from "../../oplog/names.ts";
import { Sweeper } from "../../oplog/retention/sweeper.ts";
import { isUsable, SnapshotRefused, SnapshotRequired, Snapshots } from "../../oplog/snapshots.ts";
import { NO_TELEMETRY } from "../../oplog/telemetry.ts";
import { StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { HookedDriver, untilAvailable } from "../support/drivers.ts";
import { type Log, listingsOn, logOver, objectsOn, storeEach } from "../support/logs.ts";
import { PagedDriver } from "../support/paged-driver.ts";
import { share } from "../support/share.ts";
import type { Line } from "../support/snapshots.ts";

const USER = fingerprint("A".repeat(43));
const CLIENTS = [1, 2, 3].map((n) => `5f0c1a52-7f7e-4d35-a9a5-00000000000${n}`);
const INSTANCES = 2;
const START = 1_700_000_000_000;

/** In milliseconds. A call of the driver takes one; `LISTING_TTL` is far below the age. */
const AGE = 60_000;
const DELETE_DELAY = 5000;

const action = fc.record({
  client: fc.nat(CLIENTS.length - 1),
  instance: fc.nat(INSTANCES - 1),
  kind: fc.constantFrom(
    "append",
    "batch",
    "retry",
    "snapshot",
    "snapshot",
    "old snapshot",
    "read",
    "compact",
    "sweep",
    "sweep",
    "wait",
    "wait",
  ),
  number: fc.nat(9),
});

/** A client: what was acknowledged, what it is sending, and when it is idle. */
interface Device {
  readonly client: string;
  readonly acknowledged: string[];
  sending: string[];
  idle: Promise<void>;
}

/** A snapshot that was acknowledged, or may be stored. */
interface MadeSnapshot {
  readonly covers: Covers;
  readonly at: number;
}

describe("any interleaving of appends, snapshots, sweeps, compactions, crashes and reads", () => {
  it("T-58 shows no reader a hole, deletes only what old snapshots cover, and keeps two of them", async () => {
    let deletions = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(action, { minLength: 10, maxLength: 40 }),
        fc.infiniteStream(fc.constantFrom(...Array<string>(20).fill("works"), "fails", "lands")),
        fc.record({ ttl: fc.constantFrom(0, 1000), bytes: fc.constantFrom(0, 100_000) }),
        async (scheduler, actions, fates, { ttl, bytes }) => {
          const storage = new MemoryDriver();
          let faulty = true;
          let time = START;
          const driver = new HookedDriver(
            new PagedDriver(storage, () =>
              faulty ? scheduler.schedule(Promise.resolve(), "page") : undefined,
            ),
          );
          driver.before = async ({ kind }) => {
            time++;
            if (!faulty) return;
            await scheduler.schedule(Promise.resolve(), kind);
            if (fates.next().value === "fails") throw new StorageUnavailable("before");
          };
          driver.after = async () => {
            if (!faulty) return;
            await scheduler.schedule(Promise.resolve(), "answer");
            if (fates.next().value === "lands") throw new StorageUnavailable("after it was done");
          };
          const instance = () => instanceOn(driver, { ttl, bytes, time: () => time });
          const instances = Array.from({ length: INSTANCES }, instance);
          const made: MadeSnapshot[] = [];
          const devices = CLIENTS.map(
            (client): Device => ({
              client,
              acknowledged: [],
              sending: [],
              idle: Promise.resolve(),
            }),
          );

          for (const { client, acknowledged } of devices) {
            for (let index = 0; index < 3; index++) acknowledged.push(`${client} ${index}`);
            await storeEach(storage, USER, client, acknowledged);
          }

          const work = actions.map(({ client, instance: number, kind, number: choice }, i) => {
            const device = devices[client];
            const chosen = instances[number];
            assert.ok(device !== undefined && chosen !== undefined);
            const { log, listings, compactor, sweeper } = chosen;
            const crashing = (work: Promise<unknown>) =>
              work.catch((error: unknown) => {
                // As if the process had ended here, except for what it has in memory.
                listings.invalidate(USER);
                if (!(error instanceof Error) || !/^(StorageUnav|ObjectMiss)/.test(error.name))
                  throw error;
              });
            const act = async (): Promise<unknown> => {
              switch (kind) {
                case "compact":
                  return crashing(compactor.compact(USER, choice % 2 === 0));
                case "sweep":
                  return crashing(sweeper.sweep(USER));
                case "wait":
                  await scheduler.schedule(Promise.resolve(), "time passes");
                  time += choice * 8000;
                  return undefined;
                case "read":
                  return checkRead(log, devices, choice, choice % 2 === 0);
                case "retry":
                  return retry(device, log, choice);
                case "append":
                case "batch":
                  return append(device, log, kind === "append" ? 1 : choice + 1, `${client}/${i}`);
                default: {
                  const covers = coversBy(devices, device, kind === "snapshot" ? 0 : choice);
                  made.push({ covers, at: time });
                  return snapshot(device, log, covers, `${client}/${i}`);
                }
              }
            };
            // What is done in turn with a client comes late enough to find something.
            const isApart = kind === "read" || (kind === "compact" && choice < 5);
            const done = isApart ? act() : device.idle.then(act);
            if (!isApart) device.idle = done.then(() => undefined);
            return done;
          });
          await scheduler.waitFor(Promise.all(work));

          faulty = false;
          const check = async () => {
            const { log } = instance();
            await checkComplete(log, devices);
            return checkStorage(storage, devices, made);
          };
          deletions += await scheduler.waitFor(check());
          // What was cut off is finished by the next one.
          const { sweeper, compactor } = instance();
          for (let sweeps = 0; sweeps < 3; sweeps++) {
            await scheduler.waitFor(sweeper.sweep(USER));
            await scheduler.waitFor(check());
            time += 2 * AGE;
          }
          while (await scheduler.waitFor(compactor.compact(USER, true)));
          await scheduler.waitFor(check());
          const left = new Listing(await storage.list(""));
          for (const { trimmed } of left.clients.values()) assert.deepEqual(trimmed, []);
        },
      ),
      { numRuns: share(600) },
    );
    // Otherwise it proves nothing.
    assert.ok(deletions > 20, `${deletions} clients had a floor`);
  });
});

function fingerprint(text: string): Fingerprint {
  assert.ok(isFingerprint(text));
  return text;
}

function instanceOn(
  driver: HookedDriver,
  { ttl, bytes, time }: { ttl: number; bytes: number; time: () => number },
) {
  const listings = listingsOn(driver, { ttl, now: time });
  const objects = objectsOn(driver, bytes);
  const onDamaged = () => assert.fail("nothing is damaged");
  const snapshots = new Snapshots({ objects, time, onDamaged });
  const compactor = new CompactionScheduler({
    driver,
    listings,
    objects,
    now: time,
    limits: { operations: 2, bytes: 300, objects: 1 },
    timing: { debounce: 0, maxDelay: 0, deleteDelay: 0, backoff: 0 },
    telemetry: NO_TELEMETRY,
  });
  const sweeper = new Sweeper({
    listings,
    objects,
    snapshots,
    age: AGE,
    deleteDelay: DELETE_DELAY,
    pause: async () => undefined,
    signal: new AbortController().signal,
    time,
    telemetry: NO_TELEMETRY,
  });
  return { log: logOver(listings, objects, NO_TELEMETRY, time), listings, compactor, sweeper };
}

/** What a device covers that is aware of nearly everything: the last operations of others it may lack. */
function coversBy(devices: readonly Device[], by: Device, lacking: number): Covers {
  const covers = new Map<string, number>();
  for (const { client, acknowledged } of devices) {
    const last = acknowledged.length - 1 - (client === by.client ? 0 : lacking);
    if (last >= 0) covers.set(client, last);
  }
  return covers;
}

async function append(device: Device, log: Log, length: number, payload: string): Promise<void> {
  const { client, acknowledged } = device;
  device.sending = Array.from({ length }, (_, i) => `${payload}.${i}`);
  const first = acknowledged.length;
  await untilAvailable(() => log.append(USER, client, first, device.sending));
  acknowledged.push(...device.sending);
  device.sending = [];
}

async function snapshot(device: Device, log: Log, covers: Covers, payload: string): Promise<void> {
  const { client, acknowledged } = device;
  if (covers.size === 0) return append(device, log, 1, payload);
  device.sending = [payload];
  const first = acknowledged.length;
  const send = (policy?: { snapshot: Covers }) =>
    untilAvailable(() => log.append(USER, client, first, [payload], policy));
  try {
    await send({ snapshot: covers });
  } catch (error) {
    // It does not cover what is deleted by now: it is sent as an ordinary operation.
    assert.ok(error instanceof SnapshotRefused, String(error));
    await send();
  }
  acknowledged.push(payload);
  device.sending = [];
}

/** Sends again from some stored operation to the last one. */
async function retry({ client, acknowledged }: Device, log: Log, choice: number): Promise<void> {
  if (acknowledged.length === 0) return;
  const first = choice % acknowledged.length;
  try {
    await untilAvailable(() => log.append(USER, client, first, acknowledged.slice(first)));
  } catch (error) {
    assert.ok(error instanceof OperationTrimmed, String(error));
    assert.equal(error.members.next_index, acknowledged.length);
  }
}

/** Reads with some version vector while others write. It may be refused or cut, and has no hole. */
async function checkRead(log: Log, devices: readonly Device[], choice: number, takes: boolean) {
  const aware = new Map(devices.map(({ client }, i) => [client, ((choice * (i + 1)) % 7) - 1]));
  try {
    await take(log, devices, aware, takes);
  } catch (error) {
    const isAllowed =
      error instanceof OperationsLost ||
      error instanceof StorageUnavailable ||
      (error instanceof SnapshotRequired && !takes);
    if (!isAllowed) throw error;
  }
}

/** Takes lines into what a reader is aware of, and checks each. Returns whether there was a snapshot. */
async function take(
  log: Log,
  devices: readonly Device[],
  aware: Map<string, number>,
  takesSnapshots: boolean,
): Promise<boolean> {
  const { lines, count } = await log.read(USER, aware, { takesSnapshots });
  let taken = 0;
  let hasSnapshot = false;
  for await (const chunk of lines) {
    for (const text of Buffer.from(chunk).toString().trim().split("\n")) {
      const { client_id, operation_index, payload, snapshot }: Line = JSON.parse(text);
      const device = devices.find(({ client }) => client === client_id) ?? assert.fail();
      assert.equal(payload, [...device.acknowledged, ...device.sending][operation_index]);
      if (snapshot === undefined) {
        assert.equal(operation_index, (aware.get(client_id) ?? -1) + 1, "a hole");
      } else {
        assert.ok(takesSnapshots && taken === 0, "a snapshot comes first");
        hasSnapshot = true;
        for (const [client, covered] of Object.entries(snapshot.covers)) {
          aware.set(client, Math.max(covered, aware.get(client) ?? -1));
        }
        assert.ok((aware.get(client_id) ?? -1) >= operation_index - 1);
      }
      aware.set(client_id, Math.max(operation_index, aware.get(client_id) ?? -1));
      taken++;
    }
  }
  assert.equal(taken, count);
  return hasSnapshot;
}

/** A new device comes to be aware of everything, and one that takes no snapshots if nothing was deleted. */
async function checkComplete(log: Log, devices: readonly Device[]): Promise<void> {
  const all = new Map(
    devices.flatMap(({ client, acknowledged }) =>
      acknowledged.length === 0 ? [] : [[client, acknowledged.length - 1] as const],
    ),
  );
  const aware = new Map<string, number>();
  await take(log, devices, aware, true);
  assert.deepEqual(new Map([...aware].sort()), new Map([...all].sort()));
  const plain = new Map<string, number>();
  try {
    await take(log, devices, plain, false);
    assert.deepEqual(new Map([...plain].sort()), new Map([...all].sort()));
  } catch (error) {
    assert.ok(error instanceof SnapshotRequired, String(error));
  }
}

/** Checks what is stored, and returns how many clients have a floor. */
async function checkStorage(
  storage: MemoryDriver,
  devices: readonly Device[],
  made: readonly MadeSnapshot[],
): Promise<number> {
  const listing = new Listing(await storage.list(""));
  for (const { client, acknowledged } of devices) {
    const sequence = listing.clients.get(client);
    // Nothing above the floor is missing.
    assert.deepEqual(sequence?.holes ?? [], []);
    assert.equal(sequence?.next ?? 0, acknowledged.length);
  }
  for (const { client, index, at } of listing.floors) {
    const isCovered = made.some(
      (snapshot) =>
        (snapshot.covers.get(client) ?? -1) >= index && snapshot.at + AGE <= at * 1000 + 1000,
    );
    assert.ok(isCovered, "something was deleted that no old snapshot covers");
  }
  const usable = new Set<string>();
  const onDamaged = () => assert.fail("nothing is damaged");
  const snapshots = new Snapshots({ objects: objectsOn(storage), time: () => 0, onDamaged });
  for (const snapshot of listing.snapshots) {
    const covers = await snapshots.coversOf(snapshot);
    if (isUsable(listing, snapshot, covers)) usable.add(`${snapshot.client} ${snapshot.index}`);
  }
  if (listing.floors.length > 0) assert.ok(usable.size >= 2, `${usable.size} snapshots stay`);
  return new Set(listing.floors.map(({ client }) => client)).size;
}
