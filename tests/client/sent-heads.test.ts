/** Which heads an operation tells (ENVELOPE.md, E-3.6). */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryStore } from "../../client/memory.ts";
import { RunVerifier } from "../../client/verify.ts";
import type { Line } from "../../protocol/types.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { Stage } from "../support/stage.ts";
import { useApps } from "../support/sync-app.ts";

const apps = useApps();

/** The heads that an operation tells. */
async function headsIn(stage: Stage, { client, index }: Pick<Line, "client" | "index">) {
  const lines = (await stage.stored()).filter((line) => line.client === client);
  const { operations } = await new RunVerifier(stage.identity).verify(client, lines, undefined);
  return operations[index]?.content.heads ?? [];
}

/** What an operation tells, by client id. */
async function indexesIn(stage: Stage, client: string, index: number) {
  const heads = await headsIn(stage, { client, index });
  return Object.fromEntries(heads.map((head) => [head.client, head.index]));
}

describe("an operation", () => {
  it("tells what is new since the one before, and all after a start", async () => {
    const stage = new Stage(apps);
    const [a, b, c] = await stage.openAll(3);
    assert.ok(a && b && c);
    await a.write("a0");
    await b.write("b0");
    await c.sync();
    await c.write("c0");
    assert.deepEqual(await indexesIn(stage, c.id, 0), { [a.id]: 0, [b.id]: 0 });
    await c.write("c1");
    assert.deepEqual(await indexesIn(stage, c.id, 1), {});
    await a.write("a1");
    await c.sync();
    await c.write("c2");
    assert.deepEqual(await indexesIn(stage, c.id, 2), { [a.id]: 1 });
    await stage.restart(c);
    await c.client.appendAll(["c3", "c4"]);
    await c.sync();
    await c.write("c5");
    assert.deepEqual(await indexesIn(stage, c.id, 3), { [a.id]: 1, [b.id]: 0 });
    assert.deepEqual(await indexesIn(stage, c.id, 4), {});
  });

  it("that could not be stored has told nothing", async () => {
    const stage = new Stage(apps);
    const writer = await stage.open();
    await writer.write("a0");
    const store = new FullStore();
    const device = await stage.open({ store });
    await device.sync();
    store.isFull = true;
    await assert.rejects(device.write("b0"), /full/);
    store.isFull = false;
    await device.write("b0");
    assert.deepEqual(await indexesIn(stage, device.id, 0), { [writer.id]: 0 });
  });

  it("tells 64 at most, and the next ones the rest", async () => {
    const stage = new Stage(apps);
    for (let i = 0; i < 130; i++) await stage.tell([]);
    const device = await stage.open();
    await device.sync();
    const told = new Set<string>();
    const counts: number[] = [];
    for (let i = 0; i < 4; i++) {
      await device.write(`${i}`);
      const heads = await headsIn(stage, { client: device.id, index: i });
      for (const { client } of heads) told.add(client);
      counts.push(heads.length);
    }
    assert.deepEqual(counts, [64, 64, 2, 0]);
    assert.equal(told.size, 130);
  });

  it("tells nothing of an own client id, nor of one that was too large for the server", async () => {
    const server = new SimulatedServer({ MAX_BODY: "4KiB", LISTING_TTL: "0" });
    const stage = new Stage(apps, server);
    const [large, other] = await stage.openAll(2);
    assert.ok(large && other);
    const old = large.id;
    // Before the server has said what it takes.
    await large.client.appendAll(["x".repeat(5000), "small"]);
    await assert.rejects(large.sync());
    assert.notEqual(large.id, old);
    await large.client.append("small too");
    await assert.rejects(large.sync());
    await stage.wait(other);
    await stage.wait(other);
    assert.deepEqual(other.reported, []);
    assert.ok(other.received.includes("small too"));
    assert.equal(
      await other.client.stateCode(),
      await large.client.stateCode(),
      "what the server does not have is no part of the state",
    );
  });
});

/** A store that can be full. */
class FullStore extends MemoryStore {
  isFull = false;

  override async append(...of: Parameters<MemoryStore["append"]>): Promise<void> {
    if (this.isFull) throw new Error("the disk is full");
    return super.append(...of);
  }
}
