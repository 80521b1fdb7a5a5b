/** Several devices in any order: an honest server is never accused, and one that withholds always is. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Expected, Identity, Refusal } from "../../client/index.ts";
import { Device } from "../support/simulated-device.ts";
import {
  JumpingClock,
  randomFrom,
  SimulatedNetwork,
  SimulatedServer,
} from "../support/simulated-network.ts";
import { withSimulatedUser } from "../support/simulated-user.ts";
import { HOUR, MINUTE, PATIENCE, Stage } from "../support/stage.ts";
import { useApps } from "../support/sync-app.ts";

const DEVICES = 3;

type Step =
  | { readonly kind: "append"; readonly device: number }
  | { readonly kind: "sync"; readonly device: number }
  | { readonly kind: "stop"; readonly device: number }
  | { readonly kind: "crash"; readonly device: number; readonly steps: number }
  | { readonly kind: "copy"; readonly device: number; readonly from: number }
  | { readonly kind: "give key"; readonly device: number }
  | { readonly kind: "back up" }
  | { readonly kind: "restore" }
  | { readonly kind: "pass"; readonly minutes: number };

const device = fc.nat(DEVICES - 1);
const append = fc.record({ kind: fc.constant("append" as const), device });
const sync = fc.record({ kind: fc.constant("sync" as const), device });
const stop = fc.record({ kind: fc.constant("stop" as const), device });
const crash = fc.record({ kind: fc.constant("crash" as const), device, steps: fc.nat(12) });
const copy = fc.record({ kind: fc.constant("copy" as const), device, from: device });
const giveKey = fc.record({ kind: fc.constant("give key" as const), device });
const backUp = fc.record({ kind: fc.constant("back up" as const) });
const restore = fc.record({ kind: fc.constant("restore" as const) });
const pass = fc.record({
  kind: fc.constant("pass" as const),
  minutes: fc.constantFrom(1, 2, 3, 60, 61),
});

/** Steps of one inner array happen at the same time. */
function steps(...kinds: fc.Arbitrary<Step>[]): fc.Arbitrary<Step[][]> {
  const group = fc.array(fc.oneof(...kinds), { minLength: 1, maxLength: 3 });
  return fc.array(group, { minLength: 3, maxLength: 14 });
}

/** Whether a refusal says that the server withholds something, or shows two histories. */
function accuses({ kind, by }: Refusal): boolean {
  return kind === "withheld" || (kind === "fork" && by !== undefined);
}

describe("an honest server", () => {
  /**
   * Runs the steps; then all devices restart and sync, hours pass, and they sync again. With them, the new
   * devices to which the text of the key was given, once the faults of the network are over.
   */
  function run(plan: readonly (readonly Step[])[], seed: number, faulty: number) {
    return withSimulatedUser(seed, (identity) => runAs(identity, plan, seed, faulty));
  }

  async function runAs(
    identity: Identity,
    plan: readonly (readonly Step[])[],
    seed: number,
    faulty: number,
  ) {
    const random = randomFrom(seed);
    const clock = new JumpingClock();
    const server = new SimulatedServer({ MAX_BODY: "8KiB", LISTING_TTL: "0" }, clock);
    const network = new SimulatedNetwork(server, random);
    network.faulty = faulty;
    const world = { identity, clock, fetch: network.fetch, random };
    const devices = Array.from({ length: DEVICES }, () => new Device(world));
    const at = (index: number) => devices[index] ?? assert.fail();
    const never = new AbortController().signal;
    const given: Expected[] = [];
    let created = 0;
    const take = async (step: Step): Promise<void> => {
      if (step.kind === "append") await at(step.device).append([`operation ${created++}`]);
      else if (step.kind === "sync") await at(step.device).sync();
      else if (step.kind === "stop") await at(step.device).stop();
      else if (step.kind === "crash") await at(step.device).crashAfter(step.steps);
      else if (step.kind === "give key") {
        given.push({ since: clock.now(), heads: await at(step.device).heads() });
      } else if (step.kind === "back up") await server.backUp();
      else if (step.kind === "restore") await server.restore();
      else if (step.kind === "pass") await clock.sleep(step.minutes * MINUTE, never);
      else if (step.device !== step.from && (await at(step.from).sync())) {
        await at(step.device).copy(at(step.from));
      }
    };
    try {
      for (const group of plan) await Promise.all(group.map(take));
      network.faulty = 0;
      for (const expected of given) {
        devices.push(new Device({ ...world, identity: { ...identity, expected } }));
      }
      for (let round = 0; round < 4; round++) {
        for (const one of devices) {
          if (round === 0) await one.stop();
          while (!(await one.sync())) await one.stop();
        }
        await clock.sleep(HOUR, never);
      }
      return { devices, left: (await Promise.all(devices.map((one) => one.refused()))).flat() };
    } finally {
      for (const one of devices) await one.stop();
      await server.stop();
    }
  }

  it("T-20 is accused by no device after faults of the network, crashes and copies, in any order", async () => {
    await fc.assert(
      fc.asyncProperty(
        steps(append, append, append, sync, sync, sync, stop, crash, copy, giveKey, pass),
        fc.nat(),
        fc.constantFrom(0, 0.3),
        async (plan, seed, faulty) => {
          const { devices, left } = await run(plan, seed, faulty);
          for (const { refusals } of devices) assert.deepEqual(refusals.filter(accuses), []);
          assert.deepEqual(left, []);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("T-20 that was restored is accused no longer once each device has sent again what was lost", async () => {
    await fc.assert(
      fc.asyncProperty(
        steps(append, append, sync, sync, stop, crash, pass, giveKey, backUp, restore),
        fc.nat(),
        async (plan, seed) => {
          const { devices, left } = await run(plan, seed, 0.3);
          for (const { refusals } of devices) {
            assert.deepEqual(
              refusals.filter(({ kind }) => kind !== "withheld"),
              [],
            );
          }
          assert.deepEqual(left, []);
        },
      ),
      { numRuns: 30 },
    );
  });
});

const apps = useApps();

describe("a server that withholds a tail of a client from a device", () => {
  it("T-20 is accused, of that alone, once two minutes have passed since the device heard of it", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          counts: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 2, maxLength: 4 }),
          hiddenFrom: fc.nat(3),
          witness: fc.integer({ min: 1, max: 3 }),
          knowsBefore: fc.boolean(),
          syncs: fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 4 }),
          restarts: fc.boolean(),
        }),
        async ({ counts, hiddenFrom, witness, knowsBefore, syncs, restarts }) => {
          const stage = new Stage(apps);
          const writers = await stage.openAll(counts.length);
          const victim = await stage.open();
          const [target] = writers;
          const teller = writers[1 + (witness % (writers.length - 1))];
          assert.ok(target && teller);
          const first = Math.min(hiddenFrom, (counts[0] ?? 1) - 1);
          victim.hide(({ client, index }) => client === target.id && index >= first);
          if (knowsBefore) await victim.sync();
          for (const [i, writer] of writers.entries()) {
            for (let n = 0; n < (counts[i] ?? 0); n++) await writer.write(`${i} ${n}`);
          }
          await teller.sync();
          await teller.write("I know");
          await victim.sync();
          const heardAt = stage.clock.now();
          for (const seconds of syncs) {
            if (restarts) await stage.restart(victim);
            await stage.pass(seconds * 1000);
            await victim.sync();
            const isLate = stage.clock.now() - heardAt >= PATIENCE;
            if (!isLate) assert.deepEqual(victim.reported, []);
          }
          await stage.wait(victim);
          const [accusation, ...others] = victim.refusals;
          assert.deepEqual(others, []);
          assert.equal(accusation?.kind, "withheld");
          assert.equal(accusation?.client, target.id);
          assert.notEqual(accusation?.by, undefined);
          victim.beHonest();
          await victim.sync();
          assert.deepEqual(victim.refusals, []);
          assert.equal(
            victim.received.length,
            counts.reduce((sum, n) => sum + n, 1),
          );
          for (const writer of writers) {
            await stage.wait(writer);
            assert.deepEqual(writer.reported, []);
          }
          for (const one of [...writers, victim]) await one.client.close();
        },
      ),
      { numRuns: 40 },
    );
  });
});
