/**
 * Devices that come, go, crash and stay away for long, while they make snapshots and the server deletes
 * what these stand for: in the end all of them have the same, and nothing is lost or there twice.
 */
import assert from "node:assert/strict";
import type { Identity } from "../../client/index.ts";
import { Device } from "./simulated-device.ts";
import {
  JumpingClock,
  randomFrom,
  SimulatedNetwork,
  SimulatedServer,
} from "./simulated-network.ts";
import { withSimulatedUser } from "./simulated-user.ts";

const HOUR = 3_600_000;
const SETTINGS = {
  LISTING_TTL: "0",
  RETENTION: "1h",
  PACKED_RETENTION: "1m",
};
const MOST_DEVICES = 5;
/** Small, so that there are many snapshots. */
const EVERY = 6000;

/** What happened in a run. */
export interface SnapshotRun {
  readonly saved: number;
  readonly loaded: number;
  readonly crashes: number;
  /** How many requests the server has answered. */
  readonly requests: number;
  /** The next random number: the same as in another run if the same has happened in both. */
  readonly next: number;
}

/**
 * Runs one seed. Throws an `AssertionError` where an invariant breaks.
 *
 * @param copies whether a device becomes a copy of another one at times, instead of restores of the server
 */
export function simulateSnapshots(seed: number, copies = false): Promise<SnapshotRun> {
  return withSimulatedUser(seed, (user) => simulate(user, randomFrom(seed), copies));
}

async function simulate(
  identity: Identity,
  random: () => number,
  copies: boolean,
): Promise<SnapshotRun> {
  const clock = new JumpingClock();
  const server = new SimulatedServer(SETTINGS, clock);
  const network = new SimulatedNetwork(server, random);
  const world = { identity, clock, fetch: network.fetch, random, every: EVERY };
  const devices = [new Device(world), new Device(world)];
  const below = (count: number) => Math.floor(random() * count);
  const any = () => devices[below(devices.length)] ?? assert.fail();
  let created = 0;
  const trim = async () => {
    // What lies below new floors is deleted the next time, when it is old enough.
    for (let times = 0; times < 2; times++) {
      clock.pass(HOUR);
      await any().sync();
      await server.pack();
      await server.trim();
    }
  };
  const copy = async () => {
    const [one, other] = [any(), any()];
    if (one !== other && (await other.sync())) await one.copy(other);
  };
  const take = async (): Promise<void> => {
    const kind = below(100);
    if (kind < 40) {
      const count = 1 + below(8);
      await any().append(
        Array.from({ length: count }, () => `text ${created++} ${"x".repeat(below(300))}`),
      );
    } else if (kind < 68) await any().sync();
    else if (kind < 74) await any().stop();
    else if (kind < 82) await any().crashAfter(below(25));
    else if (kind < 88 && !copies) await server.backUp();
    else if (kind < 92 && !copies) await server.restore();
    else if (devices.length < MOST_DEVICES) devices.push(new Device(world));
  };
  try {
    for (let steps = 20 + below(60); steps > 0; steps--) {
      // What the app has and the copy of its log has not is in no log: it comes to others by a snapshot alone.
      if (copies && below(8) === 0) await copy();
      // A request on its way while hours pass is too old.
      else if (below(8) === 0) await trim();
      else await Promise.all(Array.from({ length: 1 + below(3) }, take));
    }
    network.faulty = 0;
    for (let round = 0; round < 3; round++) {
      for (const one of devices) {
        await one.stop();
        while (!(await one.sync())) await one.stop();
      }
    }
    check(devices, copies);
    for (const one of devices) await one.checkEntries(false);
    // One that was never there before.
    const last = new Device(world);
    devices.push(last);
    await last.sync();
    check(devices, copies);
    const sum = (count: (of: Device) => number) =>
      devices.reduce((total, one) => total + count(one), 0);
    return {
      saved: sum(({ snapshots }) => snapshots.saved),
      loaded: sum(({ snapshots }) => snapshots.loaded),
      crashes: sum(({ crashes }) => crashes),
      requests: server.requests,
      next: random(),
    };
  } finally {
    for (const one of devices) await one.stop();
    await server.stop();
  }
}

/**
 * Asserts that all devices have the same, each once, and everything that was appended; but for what a
 * device had not sent when it became a copy of another one.
 */
function check(devices: readonly Device[], copies: boolean): void {
  const [first] = devices;
  const texts = [...(first?.texts ?? [])].sort();
  assert.equal(new Set(texts).size, texts.length, "each once");
  for (const [i, one] of devices.entries()) {
    const held = one.texts.map(nameOf);
    assert.deepEqual(missingIn(held, texts.map(nameOf)), [], `device ${i} has not all`);
    assert.deepEqual(missingIn(texts.map(nameOf), held), [], `device ${i} has more`);
    for (const text of copies ? [] : one.appended)
      assert.ok(texts.includes(text), `${nameOf(text)} is lost`);
    // A server that was restored withholds for a while.
    const wrong = one.refusals.filter(({ kind }) => kind !== "withheld");
    assert.deepEqual(wrong, []);
  }
}

/** The beginning of a text, which no other one has. */
function nameOf(text: string): string {
  return text.split(" ", 2).join(" ");
}

function missingIn(held: readonly string[], wanted: readonly string[]): string[] {
  return wanted.filter((one) => !held.includes(one));
}
