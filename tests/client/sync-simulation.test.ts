/** Several devices, the real handler and a bad network: everything arrives, once and in order. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Identity } from "../../client/index.ts";
import { share } from "../support/share.ts";
import { Devices } from "../support/simulated-device.ts";
import {
  FAULTS,
  JumpingClock,
  randomFrom,
  SimulatedNetwork,
  SimulatedServer,
  URL_OF_SERVER,
} from "../support/simulated-network.ts";
import { withSimulatedUser } from "../support/simulated-user.ts";

const DEVICES = 3;
const RUNS = share(18);

type Step =
  | { readonly kind: "append"; readonly device: number; readonly count: number }
  | { readonly kind: "sync"; readonly device: number }
  | { readonly kind: "stop"; readonly device: number }
  | { readonly kind: "crash"; readonly device: number; readonly steps: number }
  | { readonly kind: "back up" }
  | { readonly kind: "restore" }
  | { readonly kind: "forge"; readonly seed: number }
  | { readonly kind: "copy"; readonly device: number; readonly from: number };

const device = fc.nat(DEVICES - 1);
const append = fc.record({
  kind: fc.constant("append" as const),
  device,
  count: fc.integer({ min: 1, max: 6 }),
});
const sync = fc.record({ kind: fc.constant("sync" as const), device });
const stop = fc.record({ kind: fc.constant("stop" as const), device });
const crash = fc.record({
  kind: fc.constant("crash" as const),
  device,
  steps: fc.nat(12),
});
const backUp = fc.record({ kind: fc.constant("back up" as const) });
const restore = fc.record({ kind: fc.constant("restore" as const) });
const forgery = fc.record({ kind: fc.constant("forge" as const), seed: fc.nat() });
const copy = fc.record({ kind: fc.constant("copy" as const), device, from: device });

/** Steps of one inner array happen at the same time. */
function steps(...kinds: fc.Arbitrary<Step>[]): fc.Arbitrary<Step[][]> {
  const group = fc.array(fc.oneof(...kinds), { minLength: 1, maxLength: 3 });
  return fc.array(group, { minLength: 3, maxLength: 12 });
}

describe("several devices of one user", () => {
  const struck = new Set<string>();

  /** Runs the steps, repairs the network, and lets every device restart and sync. */
  function run(plan: readonly (readonly Step[])[], seed: number) {
    return withSimulatedUser(seed, (identity) => runAs(identity, plan, seed));
  }

  async function runAs(identity: Identity, plan: readonly (readonly Step[])[], seed: number) {
    const random = randomFrom(seed);
    const clock = new JumpingClock();
    // Small, so that batches must be halved.
    const server = new SimulatedServer({ MAX_BODY: "8KiB", LISTING_TTL: "0" }, clock);
    const network = new SimulatedNetwork(server, random);
    const world = { identity, clock, fetch: network.fetch, random };
    const simulated = new Devices(world, DEVICES);
    const { all: devices } = simulated;
    const at = (index: number) => simulated.at(index);
    const take = async (step: Step): Promise<void> => {
      if (step.kind === "append") await simulated.append(step.device, step.count);
      else if (step.kind === "sync") await at(step.device).sync();
      else if (step.kind === "stop") await at(step.device).stop();
      else if (step.kind === "crash") await at(step.device).crashAfter(step.steps);
      else if (step.kind === "back up") await server.backUp();
      else if (step.kind === "restore") await server.restore();
      else if (step.kind === "forge") await forge(server, identity, step.seed);
      else if (step.kind === "copy" && step.device !== step.from) {
        if (await at(step.from).sync()) await at(step.device).copy(at(step.from));
      }
    };
    try {
      for (const group of plan) await Promise.all(group.map(take));
      network.faulty = 0;
      // Twice: the first device has to see what the last one restores.
      for (let round = 0; round < 2; round++) {
        for (const one of devices) {
          await one.stop();
          while (!(await one.sync())) await one.stop();
        }
      }
      for (const one of devices) assert.ok(await one.sync());
      for (const fault of network.counts.keys()) struck.add(fault);
      for (const one of devices) await one.checkEntries();
      return { devices, held: await Promise.all(devices.map((one) => one.held())) };
    } finally {
      for (const one of devices) await one.stop();
      await server.stop();
    }
  }

  it("hold the same operations, each once, after network faults, crashes and restores of the server", async () => {
    await fc.assert(
      fc.asyncProperty(
        steps(append, append, sync, sync, stop, crash, backUp, restore),
        fc.nat(),
        async (plan, seed) => {
          const { devices, held } = await run(plan, seed);
          const first = assertSame(held);
          for (const { appended, refusals, changes } of devices) {
            for (const text of appended) assert.ok(first.includes(text), `${text} is lost`);
            assert.deepEqual(refusals, []);
            assert.deepEqual(changes, []);
          }
        },
      ),
      { numRuns: RUNS },
    );
  });

  it("hold the same operations, each once, after a stranger stored garbage in their places", async () => {
    await fc.assert(
      fc.asyncProperty(
        steps(append, append, sync, sync, stop, crash, forgery, forgery),
        fc.nat(),
        async (plan, seed) => {
          const { devices, held } = await run(plan, seed);
          const first = assertSame(held);
          for (const { appended } of devices) {
            for (const text of appended) assert.ok(first.includes(text), `${text} is lost`);
          }
        },
      ),
      { numRuns: RUNS },
    );
  });

  it("hold the same operations, each once, after one became a copy of another", async () => {
    await fc.assert(
      fc.asyncProperty(
        steps(append, append, sync, sync, crash, copy),
        fc.nat(),
        async (plan, seed) => {
          const { devices, held } = await run(plan, seed);
          assertSame(held);
          for (const { refusals } of devices) assert.deepEqual(refusals, []);
        },
      ),
      { numRuns: RUNS },
    );
  });

  it("met each fault of the network", () => {
    assert.deepEqual([...struck].sort(), [...FAULTS].sort());
  });
});

/** Stores garbage under the next operation index of one of the clients on the server. */
async function forge(server: SimulatedServer, { publicKey: user }: Identity, seed: number) {
  const send = (body: object) =>
    server.fetch(
      new Request(`${URL_OF_SERVER}/sync`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ user, sync_status: {}, ...body }),
      }),
    );
  const lines = await (await send({ client_id: crypto.randomUUID() })).text();
  const next = new Map<string, number>();
  for (const text of lines.split("\n").filter((line) => line !== "")) {
    const { client_id: client, operation_index: index } = JSON.parse(text);
    next.set(client, index + 1);
  }
  const [client, index] = [...next][seed % Math.max(1, next.size)] ?? [];
  if (client === undefined) return;
  await (await send({ client_id: client, operation_index: index, payload: ["AQAA"] })).text();
}

/** Asserts that all devices hold the same, and each text once; returns that. */
function assertSame(held: readonly (readonly string[])[]): readonly string[] {
  const [first = []] = held;
  for (const others of held) assert.deepEqual(others, first);
  assert.equal(new Set(first).size, first.length, "each once");
  return first;
}
