import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { PROBLEMS } from "../../protocol/problems.ts";
import { BodyReader, Deadlines } from "../../server/http/body-reader.ts";
import { ConcurrencyLimiter } from "../../server/http/concurrency-limiter.ts";
import { Problem } from "../../server/http/problems.ts";
import { until } from "../support/socket.ts";

const deadlines = new Deadlines();

/** A check that counts how often it is called. */
function watcher(): { readonly looks: () => number; readonly leave: () => void } {
  let looks = 0;
  const leave = deadlines.watch(() => looks++);
  return { looks: () => looks, leave };
}

describe("deadlines", () => {
  const { setInterval, clearInterval } = globalThis;
  let begun = 0;
  const running = new Set<ReturnType<typeof setInterval>>();
  before(() => {
    globalThis.setInterval = Object.assign((...args: Parameters<typeof setInterval>) => {
      begun++;
      const timer = setInterval(...args);
      running.add(timer);
      return timer;
    }, setInterval);
    const counting = (timer: ReturnType<typeof setInterval>) => {
      running.delete(timer);
      clearInterval(timer);
    };
    Object.assign(globalThis, { clearInterval: counting });
  });
  after(() => {
    Object.assign(globalThis, { setInterval, clearInterval });
  });
  const quiet = () => until(() => running.size === 0, "no timer is left");

  it("are checked until they are no longer watched, whatever others come and go", async () => {
    const [one, other] = [watcher(), watcher()];
    await until(() => one.looks() > 1 && other.looks() > 1);
    one.leave();
    const looks = one.looks();
    const seen = other.looks();
    await until(() => other.looks() > seen + 1);
    assert.equal(one.looks(), looks);
    other.leave();
    await quiet();
  });

  it("can be ended by their own check, and others are still checked", async () => {
    const other = watcher();
    let looks = 0;
    const leave = deadlines.watch(() => {
      looks++;
      leave();
    });
    await until(() => other.looks() > 2);
    assert.equal(looks, 1);
    other.leave();
    await quiet();
  });

  it("share one timer, which ends with the last of them", async () => {
    const first = begun;
    for (let round = 1; round <= 3; round++) {
      const watchers = [watcher(), watcher(), watcher()];
      assert.equal(begun, first + round);
      for (const { leave } of watchers) leave();
      await quiet();
    }
  });

  it("are not watched once a body has arrived, valid or not", async () => {
    const limiter = new ConcurrencyLimiter({
      maxRequests: 10,
      maxBuffered: 1000,
      waitTimeout: 1000,
    });
    const bodies = new BodyReader({ maxBytes: 10, maxClients: 10, timeout: 60_000 });
    const read = (body: string) => {
      const permit = limiter.acquire("a");
      assert.ok(permit);
      const headers = { "Content-Type": "application/json" };
      const request = new Request("http://localhost/sync", { method: "POST", headers, body });
      return bodies.readJson(request, permit).finally(() => permit.release());
    };
    assert.deepEqual((await read("[1]")).json, [1]);
    const refused = (status: number) => (error: unknown) =>
      error instanceof Problem && PROBLEMS[error.code] === status;
    await assert.rejects(read("[1"), refused(400));
    await assert.rejects(read("[1,2,3,4,5,6,7]"), refused(413));
    await quiet();
  });
});
