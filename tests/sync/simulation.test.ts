import { describe, it } from "node:test";
import { sharedSeeds } from "../support/share.ts";
import { simulate } from "../support/simulation/world.ts";

/** On three runtimes together; `npm run simulate` runs many more. */
const SEEDS = 200;

describe("devices, processes and a storage, in any order and with any faults", () => {
  it("lose, withhold, double and rewrite no operation, and keep every quota, lock and erasure", async () => {
    for (const seed of sharedSeeds(SEEDS)) {
      await simulate(seed).catch((error: unknown) => {
        throw new Error(`seed ${seed}: npm run simulate -- 1 ${seed} runs it again`, {
          cause: error,
        });
      });
    }
  });
});
