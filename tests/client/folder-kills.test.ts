/** A process that is killed at any time while it changes the folder of a device. */
import { describe, it } from "node:test";
import { killAgainAndAgain } from "../support/killed-store.ts";
import { sharedSeeds } from "../support/share.ts";

describe("the folder of a device whose process is killed", () => {
  for (const seed of sharedSeeds(6)) {
    it(`has all that was done, once and in order, and nothing else (seed ${seed})`, () =>
      killAgainAndAgain(seed, 4));
  }
});
