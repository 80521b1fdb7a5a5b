/** The sleeps of the system's clock, with its timers and its time replaced. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { systemClock } from "../../client/clock.ts";

const MINUTE = 60_000;

/** Notes whether a promise has resolved. */
function watch(promise: Promise<void>): { done: boolean } {
  const watched = { done: false };
  void promise.then(() => {
    watched.done = true;
  });
  return watched;
}

let time = 0;

/** Lets a time pass in steps, as timers notice it. */
async function pass(milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 1000) {
    time += 1000;
    mock.timers.tick(1000);
    await Promise.resolve();
  }
}

describe("a sleep of the system's clock", () => {
  beforeEach(() => {
    mock.timers.enable({ apis: ["setTimeout"] });
    mock.method(Date, "now", () => time);
  });
  afterEach(() => {
    mock.timers.reset();
    mock.restoreAll();
  });

  it("takes as long as it was asked to", async () => {
    for (const milliseconds of [1000, 10_000, 25_000, 5 * MINUTE]) {
      const sleep = watch(systemClock.sleep(milliseconds, new AbortController().signal));
      await pass(milliseconds - 1000);
      assert.equal(sleep.done, false);
      await pass(1000);
      assert.equal(sleep.done, true);
    }
  });

  it("ends soon after the device has been asleep", async () => {
    const sleep = watch(systemClock.sleep(5 * MINUTE, new AbortController().signal));
    await pass(15_000);
    // Timers do not count what the device sleeps.
    time += MINUTE;
    await pass(10_000);
    assert.equal(sleep.done, true);
  });

  it("ends when it is aborted, before or meanwhile, and leaves no timer", async () => {
    const controller = new AbortController();
    const sleeps = [MINUTE, Infinity].map((ms) => watch(systemClock.sleep(ms, controller.signal)));
    await pass(25_000);
    assert.deepEqual(sleeps, [{ done: false }, { done: false }]);
    controller.abort();
    await Promise.resolve();
    assert.deepEqual(sleeps, [{ done: true }, { done: true }]);
    await systemClock.sleep(MINUTE, controller.signal);
  });
});
