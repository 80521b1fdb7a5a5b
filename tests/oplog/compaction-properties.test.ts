import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { segmentChecksums } from "../../oplog/checksums.ts";
import { CompactionScheduler } from "../../oplog/compaction/scheduler.ts";
import {
  type Fingerprint,
  formatName,
  isFingerprint,
  type ObjectName,
  parseName,
} from "../../oplog/names.ts";
import { encodeSegment } from "../../oplog/segment.ts";
import { NO_TELEMETRY } from "../../oplog/telemetry.ts";
import { type Driver, md5Of, StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { HookedDriver, untilAvailable } from "../support/drivers.ts";
import type { Operation } from "../support/http.ts";
import { type Log, listingsOn, logOver, objectsOn } from "../support/logs.ts";
import { acknowledgedBy, inOrder, operationsOf } from "../support/operations.ts";
import { PagedDriver } from "../support/paged-driver.ts";
import { share } from "../support/share.ts";

const USER = fingerprint("A".repeat(43));
const CLIENTS = [1, 2, 3].map((n) => `5f0c1a52-7f7e-4d35-a9a5-00000000000${n}`);
const INSTANCES = 2;

const clientNumber = fc.nat(CLIENTS.length - 1);

/** The log at the beginning: objects, and how many operations each holds. */
const beginning = fc.record({
  objects: fc.array(
    fc.record({ client: clientNumber, operations: fc.integer({ min: 1, max: 4 }) }),
    {
      maxLength: 20,
    },
  ),
  /** Further payloads under indexes that have one: a single operation or a segment. */
  forks: fc.array(
    fc.record({ client: clientNumber, at: fc.nat(30), operations: fc.integer({ min: 1, max: 3 }) }),
    {
      maxLength: 2,
    },
  ),
});

const action = fc.record({
  client: clientNumber,
  instance: fc.nat(INSTANCES - 1),
  kind: fc.constantFrom(
    "append",
    "batch",
    "retry",
    "read",
    "read",
    "compact",
    "compact",
    "compact",
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

describe("any interleaving of compactions, crashes, appends and reads", () => {
  it("shows every reader exactly the acknowledged operations, in order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        beginning,
        fc.array(action, { minLength: 1, maxLength: 30 }),
        fc.infiniteStream(fc.constantFrom(...Array<string>(20).fill("works"), "fails", "lands")),
        fc.record({
          ttl: fc.constantFrom(0, 30_000),
          bytes: fc.constantFrom(0, 100_000),
          operations: fc.constantFrom(2, 4),
          size: fc.constantFrom(300, 1500, 100_000),
          many: fc.constantFrom(1, 1000),
        }),
        async (
          scheduler,
          { objects, forks },
          actions,
          fates,
          { ttl, bytes, operations, size, many },
        ) => {
          const storage = new MemoryDriver();
          const wait = async () => {
            await scheduler.schedule(Promise.resolve(), "page");
          };
          let faulty = true;
          const driver = new HookedDriver(
            new PagedDriver(storage, () => (faulty ? wait() : undefined)),
          );
          driver.before = async ({ kind }) => {
            if (!faulty) return;
            await scheduler.schedule(Promise.resolve(), kind);
            if (fates.next().value === "fails") throw new StorageUnavailable("before");
          };
          driver.after = async () => {
            if (!faulty) return;
            await scheduler.schedule(Promise.resolve(), "answer");
            if (fates.next().value === "lands") throw new StorageUnavailable("after it was done");
          };
          const instance = () => {
            const listings = listingsOn(driver, { ttl });
            const objects = objectsOn(driver, bytes);
            const compactor = new CompactionScheduler({
              driver,
              listings,
              objects,
              now: () => 0,
              limits: { operations, bytes: size, objects: many },
              timing: { debounce: 0, maxDelay: 0, deleteDelay: 0, backoff: 0 },
              telemetry: NO_TELEMETRY,
            });
            return { log: logOver(listings, objects), listings, compactor };
          };
          const instances = Array.from({ length: INSTANCES }, instance);
          const devices = CLIENTS.map(
            (client): Device => ({
              client,
              acknowledged: [],
              sending: [],
              idle: Promise.resolve(),
            }),
          );
          const forked = await begin(storage, devices, objects, forks);

          const work = actions.map(({ client, instance: number, kind, number: choice }, i) => {
            const device = devices[client];
            const chosen = instances[number];
            assert.ok(device !== undefined && chosen !== undefined);
            const { log, listings, compactor } = chosen;
            if (kind === "compact") {
              return compactor.compact(USER, choice % 2 === 0).catch((error: unknown) => {
                // As if the process had ended here, except for what it has in memory.
                listings.invalidate(USER);
                if (!(error instanceof Error) || !/^(StorageUnav|ObjectMiss)/.test(error.name))
                  throw error;
              });
            }
            if (kind === "read")
              return untilAvailable(() => checkRead(log, devices, forked, choice, ttl === 0));
            device.idle = device.idle.then(() =>
              append(device, log, kind, choice, `${client}/${i}`),
            );
            return device.idle;
          });
          await scheduler.waitFor(Promise.all(work));

          faulty = false;
          const { log, compactor } = instance();
          const expected = inOrder([...acknowledgedBy(devices), ...forked]);
          const settle = async () => {
            assert.deepEqual(
              inOrder(await operationsOf(await log.read(USER, new Map()))),
              expected,
            );
            while (await compactor.compact(USER, true)) {
              assert.deepEqual(
                inOrder(await operationsOf(await log.read(USER, new Map()))),
                expected,
              );
            }
          };
          await scheduler.waitFor(settle());
          // Read from storage, where no superseded object is left.
          const { log: last } = instance();
          const all = await scheduler.waitFor(last.read(USER, new Map()).then(operationsOf));
          assert.deepEqual(inOrder(all), expected);
          // Segments of two processes may overlap: each is kept for what it alone holds.
          const held = (await storage.list("")).map(({ name }) => parseName(name) ?? assert.fail());
          const copies = new Map<string, number>();
          const operationsIn = ({ client, first, last }: ObjectName) =>
            Array.from({ length: last - first + 1 }, (_, i) => `${client} ${first + i}`);
          for (const place of held.flatMap(operationsIn)) {
            copies.set(place, (copies.get(place) ?? 0) + 1);
          }
          const needless = held.filter((name) =>
            operationsIn(name).every((place) => (copies.get(place) ?? 0) > 1),
          );
          if (forked.length === 0) assert.deepEqual(needless, []);
        },
      ),
      { numRuns: share(400) },
    );
  });
});

/** Stores a log, and returns the operations that are forks of others. */
async function begin(
  storage: Driver,
  devices: readonly Device[],
  objects: readonly { client: number; operations: number }[],
  forks: readonly { client: number; at: number; operations: number }[],
): Promise<Operation[]> {
  for (const { client, operations } of objects) {
    const device = devices[client];
    if (device === undefined) continue;
    const first = device.acknowledged.length;
    const payloads = Array.from({ length: operations }, (_, i) => `${client}:${first + i}`);
    await store(storage, device.client, first, payloads);
    device.acknowledged.push(...payloads);
  }
  const forked: Operation[] = [];
  for (const [number, { client, at, operations }] of forks.entries()) {
    const device = devices[client];
    if (device === undefined || at + operations > device.acknowledged.length) continue;
    const payloads = Array.from({ length: operations }, (_, i) => `fork ${number}:${at + i}`);
    await store(storage, device.client, at, payloads);
    payloads.forEach((payload, i) => {
      forked.push({ client_id: device.client, operation_index: at + i, payload });
    });
  }
  return forked;
}

async function store(storage: Driver, client: string, first: number, payloads: string[]) {
  const last = first + payloads.length - 1;
  const single = new TextEncoder().encode(payloads[0]);
  const body = payloads.length === 1 ? single : encodeSegment(client, first, payloads);
  // Names of segments have no CRC-32 where an earlier version stored them.
  const earlier = payloads.length === 1 || first % 2 === 0;
  const checksums = earlier ? { md5: md5Of(body) } : segmentChecksums(body);
  await storage.put(formatName({ user: USER, client, first, last, ...checksums }), body);
}

async function append(device: Device, log: Log, kind: string, number: number, unique: string) {
  const { client, acknowledged } = device;
  if (kind === "retry") {
    if (acknowledged.length === 0) return;
    const from = number % acknowledged.length;
    return untilAvailable(() => log.append(USER, client, from, acknowledged.slice(from)));
  }
  const first = acknowledged.length;
  const length = kind === "batch" ? 2 + number : 1;
  device.sending = Array.from({ length }, (_, i) => `${unique}.${i}`);
  await untilAvailable(() => log.append(USER, client, first, device.sending));
  acknowledged.push(...device.sending);
  device.sending = [];
}

async function checkRead(
  log: Log,
  devices: readonly Device[],
  forked: readonly Operation[],
  number: number,
  listsEachTime: boolean,
) {
  const versionVector = new Map(
    devices.map(({ client }, i) => [client, ((number * (i + 1)) % 9) - 1]),
  );
  const before = new Map(devices.map(({ client, acknowledged }) => [client, acknowledged.length]));
  const operations = await operationsOf(await log.read(USER, versionVector));
  for (const { client, acknowledged, sending } of devices) {
    const read = operations.filter(({ client_id }) => client_id === client);
    const known = versionVector.get(client) ?? -1;
    const payloads = [...acknowledged, ...sending];
    const end = Math.max(known, ...read.map(({ operation_index }) => operation_index));
    const expected = payloads
      .map((payload, operation_index) => ({ client_id: client, operation_index, payload }))
      .concat(forked.filter(({ client_id }) => client_id === client))
      .filter(({ operation_index }) => operation_index > known && operation_index <= end);
    assert.deepEqual(read, inOrder(expected));
    // Everything acknowledged before is delivered, unless an older listing may be used.
    if (listsEachTime) assert.ok(end >= (before.get(client) ?? 0) - 1, "the log was cut short");
  }
}

function fingerprint(text: string): Fingerprint {
  assert.ok(isFingerprint(text));
  return text;
}
