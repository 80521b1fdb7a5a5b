import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { OperationConflict, OperationGap } from "../../oplog/append-plan.ts";
import { type Fingerprint, isFingerprint } from "../../oplog/names.ts";
import { StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { HookedDriver, untilAvailable } from "../support/drivers.ts";
import type { Operation } from "../support/http.ts";
import { type Log, listingsOn, logOver, objectsOn } from "../support/logs.ts";
import { acknowledgedBy, inOrder, operationsOf } from "../support/operations.ts";
import { share } from "../support/share.ts";

const USERS = 2;
const CLIENTS_PER_USER = 3;
const INSTANCES = 2;

/** What one client does next; a number is used modulo the number of choices. */
const action = fc.record({
  user: fc.nat(USERS - 1),
  client: fc.nat(CLIENTS_PER_USER - 1),
  instance: fc.nat(INSTANCES - 1),
  kind: fc.constantFrom("append", "append", "batch", "retry", "twice", "conflict", "gap", "read"),
  number: fc.nat(9),
});

interface Device {
  readonly client: string;
  readonly user: Fingerprint;
  /** The payloads that were acknowledged. */
  readonly acknowledged: string[];
  /** The instance that accepted its last operation: others may not have listed it yet. */
  home: Log | undefined;
  /** What it is sending: it may have been stored. */
  sending: string[];
  /** Resolves when it has done all its actions so far. */
  idle: Promise<void>;
}

describe("any interleaving of appends, retries, conflicts, batches and reads", () => {
  it("ends with every acknowledged operation delivered once, in order, to its own user alone", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(action, { minLength: 1, maxLength: 40 }),
        fc.infiniteStream(fc.constantFrom(...Array<string>(12).fill("works"), "fails", "lands")),
        // Small caches with short times to live, so that evictions and expiry happen.
        fc.record({ ttl: fc.constantFrom(0, 3, 30_000), runs: fc.nat(30), bytes: fc.nat(2000) }),
        async (scheduler, actions, fates, { ttl, runs, bytes }) => {
          const storage = new MemoryDriver();
          const driver = new HookedDriver(storage);
          let time = 0;
          let faulty = true;
          driver.before = async ({ kind }) => {
            await scheduler.schedule(Promise.resolve(), kind);
            time++;
            if (faulty && fates.next().value === "fails") throw new StorageUnavailable("before");
          };
          driver.after = async () => {
            if (!faulty) return;
            await scheduler.schedule(Promise.resolve(), "answer");
            if (fates.next().value === "lands") throw new StorageUnavailable("after it was done");
          };
          const logs = Array.from({ length: INSTANCES }, () => {
            const listings = listingsOn(driver, { ttl, maxRuns: runs + 1, now: () => time });
            return logOver(listings, objectsOn(driver, bytes));
          });
          // Names are not random, so that a seed gives the same run again.
          const devices = Array.from({ length: USERS }, (_, u) => fingerprint(u)).flatMap(
            (user, u) =>
              Array.from(
                { length: CLIENTS_PER_USER },
                (_, c): Device => ({
                  client: `5f0c1a52-7f7e-4d35-a9a5-0000000000${u}${c}`,
                  user,
                  acknowledged: [],
                  home: undefined,
                  sending: [],
                  idle: Promise.resolve(),
                }),
              ),
          );

          const work = actions.map(({ user, client, instance, kind, number }, i) => {
            const device = devices[user * CLIENTS_PER_USER + client];
            const log = logs[instance];
            assert.ok(device !== undefined && log !== undefined);
            device.idle = device.idle.then(() => act(device, log, devices, kind, number, i));
            return device.idle;
          });
          await scheduler.waitFor(Promise.all(work));

          faulty = false;
          for (const user of new Set(devices.map((device) => device.user))) {
            const log = logOver(listingsOn(driver), objectsOn(driver));
            const read = await scheduler.waitFor(readAll(log, user, new Map()));
            const expected = acknowledgedBy(devices.filter((device) => device.user === user));
            assert.deepEqual(inOrder(read), inOrder(expected));
          }
        },
      ),
      { numRuns: share(200) },
    );
  });
});

function fingerprint(number: number): Fingerprint {
  const text = String(number).padStart(43, "A");
  assert.ok(isFingerprint(text));
  return text;
}

async function act(
  device: Device,
  log: Log,
  devices: readonly Device[],
  kind: string,
  number: number,
  unique: number,
): Promise<void> {
  const { user, client, acknowledged } = device;
  const next = acknowledged.length;
  const send = (to: Log, first: number, payloads: string[]) =>
    untilAvailable(() => to.append(user, client, first, payloads));
  const payload = `${client}/${unique}`;
  switch (kind) {
    case "append":
    case "batch":
    case "twice": {
      const batch =
        kind === "batch" ? Array.from({ length: number }, (_, i) => `${payload}.${i}`) : [];
      device.sending = [payload, ...batch];
      const requests = kind === "twice" ? 2 : 1;
      await Promise.all(Array.from({ length: requests }, () => send(log, next, device.sending)));
      acknowledged.push(...device.sending);
      device.home = log;
      device.sending = [];
      return;
    }
    case "retry":
      // From some stored operation to the last one.
      if (next > 0) await send(log, number % next, acknowledged.slice(number % next));
      return;
    case "conflict":
      if (device.home === undefined) return;
      await assert.rejects(send(device.home, number % next, [payload]), OperationConflict);
      return;
    case "gap":
      await assert.rejects(send(log, next + 1 + number, [payload]), (error) => {
        return error instanceof OperationGap && error.members.next_index === next;
      });
      return;
    default:
      return checkRead(device, log, devices, number);
  }
}

/** Reads with some version vector while others append. */
async function checkRead(device: Device, log: Log, devices: readonly Device[], number: number) {
  const peers = devices.filter(({ user }) => user === device.user);
  const versionVector = new Map(
    peers.map(({ client }, i) => [client, ((number * (i + 1)) % 7) - 1]),
  );
  const operations = await untilAvailable(() => readAll(log, device.user, versionVector));
  const expected = new Map(versionVector);
  for (const { client_id, operation_index, payload } of operations) {
    const peer = peers.find(({ client }) => client === client_id);
    assert.ok(peer !== undefined, "an operation of another user was delivered");
    assert.equal(operation_index, (expected.get(client_id) ?? -1) + 1);
    assert.equal(payload, [...peer.acknowledged, ...peer.sending][operation_index]);
    expected.set(client_id, operation_index);
  }
}

async function readAll(
  log: Log,
  user: Fingerprint,
  versionVector: ReadonlyMap<string, number>,
): Promise<Operation[]> {
  return operationsOf(await log.read(user, versionVector));
}
