import { it } from "node:test";
import { simulate } from "./simulation.ts";

const SEEDS = 200;

it("processes that share a folder with journals lose nothing, whatever fails and whenever they die", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) await simulate(seed);
});
