import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WakingClock } from "../../cluster/waking-clock.ts";

describe("a clock of silence", () => {
  it("goes on while the machine sleeps, and does not go back where time is set back", () => {
    let [steady, time] = [5000, 1_700_000_000_000];
    const clock = new WakingClock(
      () => steady,
      () => time,
    );
    steady += 100;
    time += 100;
    assert.equal(clock.now(), 100);
    // Asleep for an hour.
    time += 3_600_000;
    assert.equal(clock.now(), 3_600_100);
    time -= 86_400_000;
    steady += 10;
    assert.equal(clock.now(), 3_600_110);
  });
});
