/** Several devices that wait for news, the real handler and a bad network. Nobody calls `sync`. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Identity } from "../../client/index.ts";
import { share } from "../support/share.ts";
import { type Device, Devices } from "../support/simulated-device.ts";
import {
  JumpingClock,
  nextTick,
  randomFrom,
  SimulatedNetwork,
  SimulatedServer,
} from "../support/simulated-network.ts";
import { withSimulatedUser } from "../support/simulated-user.ts";

const DEVICES = 3;
const RUNS = share(30);

/** The devices have everything after a few hundred turns of the event loop; these are far more. */
const MOST_LOOKS = 1000;
const TURNS_OF_A_LOOK = 50;

type Step =
  | { readonly kind: "append"; readonly device: number; readonly count: number }
  | { readonly kind: "stop"; readonly device: number }
  | { readonly kind: "crash"; readonly device: number; readonly steps: number }
  | { readonly kind: "turns"; readonly count: number };

const device = fc.nat(DEVICES - 1);
const append = fc.record({
  kind: fc.constant("append" as const),
  device,
  count: fc.integer({ min: 1, max: 4 }),
});
const stop = fc.record({ kind: fc.constant("stop" as const), device });
const crash = fc.record({ kind: fc.constant("crash" as const), device, steps: fc.nat(12) });
const turns = fc.record({ kind: fc.constant("turns" as const), count: fc.nat(24) });
/** Steps of one inner array happen at the same time. */
const steps = fc.array(
  fc.array(fc.oneof(append, append, append, turns, turns, stop, crash), {
    minLength: 1,
    maxLength: 4,
  }),
  { minLength: 3, maxLength: 12 },
);

describe("several devices of one user that wait for news", () => {
  /** How many waits were aborted, before their answer and during it. */
  const aborted = { before: 0, during: 0 };

  /** Runs the steps, repairs the network, and lets the devices wait until each has everything. */
  async function run(identity: Identity, plan: readonly (readonly Step[])[], seed: number) {
    const random = randomFrom(seed);
    const clock = new JumpingClock();
    const server = new SimulatedServer({ LISTING_TTL: "0" }, clock);
    const network = new SimulatedNetwork(server, random);
    network.faulty = 0.3;
    const fetch = async (request: Request) => {
      if (/wait=2/.test(request.headers.get("prefer") ?? "")) {
        let isAnswered = false;
        request.signal.addEventListener("abort", () => {
          aborted[isAnswered ? "during" : "before"]++;
        });
        const answer = await network.fetch(request);
        isAnswered = true;
        return answer;
      }
      return network.fetch(request);
    };
    const world = { identity, clock, fetch, random, isLive: true };
    const simulated = new Devices(world, DEVICES);
    const { all: devices } = simulated;
    const at = (index: number) => simulated.at(index);
    const take = async (step: Step): Promise<void> => {
      if (step.kind === "append") await simulated.append(step.device, step.count);
      else if (step.kind === "turns") await waitFor(step.count);
      else if (step.kind === "stop") await at(step.device).stop();
      else await at(step.device).crashAfter(step.steps);
    };
    try {
      for (const group of plan) await Promise.all(group.map(take));
      network.faulty = 0;
      // What has a step to go yet crashes now.
      for (const one of devices) await one.stop();
      const held = await heldInTheEnd(devices);
      assert.equal(new Set(held).size, held.length, "each once");
      for (const one of devices) await one.checkEntries();
      for (const { refusals, changes } of devices) {
        assert.deepEqual([refusals, changes], [[], []]);
      }
    } finally {
      for (const one of devices) await one.stop();
      await server.stop();
    }
  }

  it("hold the same operations, each once, however their waits are aborted and cut", async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.nat(), (plan, seed) =>
        withSimulatedUser(seed, (identity) => run(identity, plan, seed)),
      ),
      { numRuns: RUNS },
    );
    assert.ok(aborted.before > 0, "appends have aborted waits");
  });
});

/** What all devices hold, once that is the same, and everything that was appended. */
async function heldInTheEnd(devices: readonly Device[]): Promise<readonly string[]> {
  const appended = devices.flatMap((one) => one.appended);
  for (let looks = 0; looks < MOST_LOOKS; looks++) {
    const held = await Promise.all(devices.map((one) => one.held()));
    const [first = []] = held;
    // Not the number alone: what one lacks may be as many as another lacks.
    const isSame = held.every((texts) => texts.join() === first.join());
    if (isSame && appended.every((text) => first.includes(text))) return first;
    await waitFor(TURNS_OF_A_LOOK);
  }
  return assert.fail(`not every device has everything after ${MOST_LOOKS} looks`);
}

async function waitFor(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await nextTick();
}
