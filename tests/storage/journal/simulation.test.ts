import { it } from "node:test";
import { sharedSeeds } from "../../support/share.ts";
import { simulate } from "./simulation.ts";

const SEEDS = 200;

it("processes that share a folder with journals lose nothing, whatever fails and whenever they die", async () => {
  for (const seed of sharedSeeds(SEEDS)) await simulate(seed);
});
