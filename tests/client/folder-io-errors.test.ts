/** A process whose calls of the system fail now and then while it changes the folder of a device. */
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { killAgainAndAgain } from "../support/killed-store.ts";
import { onlyOn } from "../support/one-runtime.ts";

const canTrace = spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0;
const { skip, note } = onlyOn("Node", "the calls of the system are the same");
const why = canTrace ? note : " (skipped: strace is missing or not allowed)";

describe(`the folder of a device whose disk fails${why}`, { skip: skip || !canTrace }, () => {
  for (let seed = 1; seed <= 3; seed++) {
    it(`has what was done, and nothing of what failed (seed ${seed})`, () =>
      killAgainAndAgain(seed, 3, true));
  }
});
