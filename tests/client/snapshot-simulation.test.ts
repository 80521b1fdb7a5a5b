/** Devices that come and go for long, snapshots, and a server that deletes: nothing is lost, or there twice. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { simulateSnapshots } from "../support/snapshot-simulation.ts";

const SEEDS = 5;

describe("devices that make and take snapshots", () => {
  for (const [copies, what] of [
    [false, "the network fails, devices crash, and the server is restored from backups"],
    [true, "devices become copies of others"],
  ] as const) {
    it(`have the same in the end, and all that was appended, while ${what}`, async () => {
      let saved = 0;
      let loaded = 0;
      for (let seed = 1; seed <= SEEDS; seed++) {
        try {
          const run = await simulateSnapshots(seed, copies);
          saved += run.saved;
          loaded += run.loaded;
        } catch (error) {
          throw new Error(`seed ${seed}`, { cause: error });
        }
      }
      assert.ok(saved > SEEDS && loaded > SEEDS, `${saved} snapshots, ${loaded} taken`);
    });
  }
});
