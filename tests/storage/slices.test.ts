import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { describe, it } from "node:test";
import { filterInSlices, Slices, sortInSlices } from "../../storage/slices.ts";
import { portOf } from "../support/ports.ts";
import { turnsDuring } from "../support/turns-during.ts";

const isBefore = (a: string, b: string) => a < b;

/** Different texts with a long common beginning, in an order that only looks random. */
function texts(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${"-".repeat(90)}${(i * 7919) % count}`);
}

describe("work in slices", () => {
  it("sorts as the runtime does, whatever the number and the order", async () => {
    for (const count of [0, 1, 2, 3, 2047, 2048, 2049, 6143, 10_007]) {
      const some = texts(count);
      const sorted = some.toSorted();
      assert.deepEqual(await sortInSlices(some, isBefore), sorted);
      assert.deepEqual(await sortInSlices(sorted, isBefore), sorted);
      assert.deepEqual(await sortInSlices(sorted.toReversed(), isBefore), sorted);
      assert.deepEqual(some, texts(count), "what was given stays as it was");
    }
  });

  it("filters in order", async () => {
    const some = texts(5000);
    const passes = (text: string) => text.endsWith("7");
    assert.deepEqual(await filterInSlices(some, passes), some.filter(passes));
  });

  it("lets other work run in between, however fast the runtime is", async () => {
    const some = texts(5000);
    const takesTime = () => {
      const start = performance.now();
      while (performance.now() - start < 0.02);
    };
    const isBeforeAfterTime = (a: string, b: string) => {
      takesTime();
      return isBefore(a, b);
    };
    const passesAfterTime = (text: string) => {
      takesTime();
      return text.endsWith("7");
    };
    assert.ok((await turnsDuring(() => sortInSlices(some, isBeforeAfterTime))) > 2);
    assert.ok((await turnsDuring(() => filterInSlices(some, passesAfterTime))) > 2);
  });

  it("answers what comes from the network after a few slices", async () => {
    const server = createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const socket = connect(portOf(server), "127.0.0.1");
    let answers = 0;
    let isOver = false;
    socket.on("data", () => {
      answers++;
      if (!isOver) socket.write("again");
    });
    await once(socket, "connect");
    socket.write("first");
    const slices = new Slices();
    for (let pauses = 0; pauses < 40; ) {
      const pause = slices.next(1000);
      if (pause === undefined) continue;
      await pause;
      pauses++;
    }
    isOver = true;
    socket.end();
    await once(socket, "close");
    server.close();
    assert.ok(answers >= 4, `${answers} answers`);
  });

  it("goes on at once while a slice lasts, and waits once it is over", async () => {
    const slices = new Slices();
    assert.equal(slices.next(), undefined);
    let pause: Promise<void> | undefined;
    for (let pieces = 1; pause === undefined; pieces *= 2) pause = slices.next(pieces);
    await pause;
    assert.equal(slices.next(), undefined);
  });
});
