/** Tabs that share one log: each entry once in each of them, whichever of them crashes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sharedSeeds } from "../support/share.ts";
import { simulateTabs } from "../support/tabs-simulation.ts";

describe("tabs that share a log, in a simulation", () => {
  for (const seed of sharedSeeds(25)) {
    it(`have each entry once, and lose none that was appended, with the seed ${seed}`, async () => {
      await simulateTabs(seed);
    });
  }

  it("do the same again with the same seed", async () => {
    assert.equal(await simulateTabs(4), await simulateTabs(4));
  });
});
