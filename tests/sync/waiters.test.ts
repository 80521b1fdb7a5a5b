import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type Waiter, Waiters } from "../../sync/waiters.ts";
import { someFingerprint } from "../support/users.ts";

const user = someFingerprint();
const LONG = 60_000;

/** Waiters whose clock stands still unless it is moved. */
function someWaiters({ max = 1000, lookEvery = Number.POSITIVE_INFINITY } = {}) {
  const clock = { now: 0 };
  const waiters = new Waiters({ max, lookEvery, now: () => clock.now });
  const enter = (address = "192.0.2.1", clients = 0, of = user, milliseconds = LONG): Waiter => {
    const waiter = waiters.enter(of, address, clients, milliseconds);
    assert.ok(waiter);
    return waiter;
  };
  return { waiters, clock, enter };
}

describe("readers that wait", () => {
  it("are woken by what happens while they wait", async () => {
    const { waiters, enter } = someWaiters();
    const [waiter, other] = [enter(), enter("192.0.2.1", 0, someFingerprint())];
    waiter.beforeLook();
    const woken = waiter.wait();
    let otherWoken = false;
    const otherWait = other.wait().then((wake) => {
      otherWoken = true;
      return wake;
    });
    waiters.wake(user);
    assert.equal(await woken, "news");
    assert.equal(otherWoken, false);
    waiters.stop();
    assert.equal(await otherWait, "stopped");
    for (const each of [waiter, other]) waiters.leave(each);
  });

  it("are woken by what happens between their look and their wait, and not by what came before", async () => {
    const { waiters, enter } = someWaiters();
    const waiter = enter();
    waiters.wake(user);
    waiter.beforeLook();
    waiters.wake(user);
    assert.equal(await waiter.wait(), "news");
    waiter.beforeLook();
    const next = waiter.wait();
    waiter.hangUp();
    assert.equal(await next, "gone");
    // An end is final.
    waiters.wake(user);
    waiter.beforeLook();
    assert.equal(await waiter.wait(), "gone");
    waiters.leave(waiter);
  });

  it("go on in several turns of the event loop where they are many", async () => {
    const { waiters, enter } = someWaiters();
    const all = Array.from({ length: 100 }, () => enter());
    let woken = 0;
    const done = Promise.all(all.map((waiter) => waiter.wait().then(() => woken++)));
    waiters.wake(user);
    const turns: number[] = [];
    while (woken < all.length) {
      await nextTurn();
      turns.push(woken);
    }
    await done;
    assert.ok(turns.length > 1 && (turns[0] ?? 0) < all.length, `${turns}`);
    for (const waiter of all) waiters.leave(waiter);
    assert.equal(waiters.count, 0);
  });

  it("end when their time is over, and look again before, as often as they are to", async () => {
    const { waiters, clock, enter } = someWaiters({ lookEvery: 10_000 });
    const waiter = enter();
    const short = enter("192.0.2.1", 0, user, 5000);
    const wakes: string[] = [];
    const shortEnd = short.wait();
    for (clock.now = 11_000; wakes.at(-1) !== "ended"; clock.now += 11_000) {
      waiter.beforeLook();
      wakes.push(await waiter.wait());
    }
    assert.equal(await shortEnd, "ended");
    assert.equal(wakes.at(-1), "ended");
    assert.ok(wakes.length > 2 && wakes.slice(0, -1).every((wake) => wake === "news"), `${wakes}`);
    for (const each of [waiter, short]) waiters.leave(each);
  });

  it("look again soon where they are told to", async () => {
    const { waiters, clock, enter } = someWaiters();
    const waiter = enter();
    waiters.later(waiter);
    clock.now += 1000;
    assert.equal(await waiter.wait(), "news");
    waiters.leave(waiter);
  });

  it("T-43 find a place while there is one: in all, for their address, for their user", () => {
    const { waiters, enter } = someWaiters({ max: 6 });
    const mine = [enter(), enter(), enter()];
    const more = () => waiters.enter(user, "192.0.2.1", 0, LONG);
    assert.equal(more(), undefined);
    const others = [enter("192.0.2.2")];
    assert.equal(waiters.enter(user, "192.0.2.3", 200, LONG), undefined);
    others.push(enter("192.0.2.3", 100));
    assert.equal(waiters.enter(user, "192.0.2.4", 0, LONG), undefined);
    for (const waiter of [...mine, ...others, ...mine]) waiters.leave(waiter);
    assert.equal(waiters.count, 0);
    const again = enter("192.0.2.1", 299);
    assert.equal(more(), undefined);
    waiters.leave(again);
  });

  it("T-43 are at most a hundred of one user, and none once the server stops", () => {
    const { waiters, enter } = someWaiters();
    const all = Array.from({ length: 100 }, (_, i) => enter(`192.0.2.${i}`));
    assert.equal(waiters.enter(user, "192.0.2.200", 0, LONG), undefined);
    all.push(enter("192.0.2.200", 0, someFingerprint()));
    waiters.stop();
    assert.equal(waiters.enter(someFingerprint(), "192.0.2.201", 0, LONG), undefined);
    for (const waiter of all) waiters.leave(waiter);
    assert.deepEqual([...waiters.users], []);
  });
});
