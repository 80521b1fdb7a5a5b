/** What a device keeps of what others have told, from one run to the next (ENVELOPE.md, E-3.7 to E-3.9). */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Head, Store } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { toBase64url } from "../../protocol/base64.ts";
import { sealedContents, tagOf } from "../support/sealed.ts";
import { JumpingClock } from "../support/simulated-network.ts";
import { type Actor, HOUR, PATIENCE, SECOND, Stage } from "../support/stage.ts";
import { useApps } from "../support/sync-app.ts";
import { newClient } from "../support/users.ts";

const apps = useApps();
const TAG = "AAAAAAAAAAAAAAAAAAAAAA";

/** The heads that a store keeps. */
async function keptIn(store: Store): Promise<readonly Head[]> {
  return (await store.load()).cursors.flatMap(({ heads = [] }) => heads);
}

/** Ends a device, lets time pass, and starts it for one sync. */
async function runLater(stage: Stage, actor: Actor, milliseconds: number, options = {}) {
  await stage.pass(milliseconds);
  await stage.restart(actor, options);
  await actor.sync();
}

/** A clock that can be set. */
class SetClock extends JumpingClock {
  offset = 0;

  override now(): number {
    return super.now() + this.offset;
  }
}

describe("a device that never runs for as long as two minutes", () => {
  it("T-20 reports what is withheld from it, once two minutes have passed since it heard of that", async () => {
    const stage = new Stage(apps);
    const reader = await stage.open();
    const client = newClient();
    const by = await stage.tell([{ client, index: 0, tag: TAG }]);
    await reader.sync();
    await runLater(stage, reader, PATIENCE - SECOND);
    assert.deepEqual(reader.refusals, []);
    await runLater(stage, reader, SECOND);
    assert.deepEqual(reader.refusals, [{ kind: "withheld", client, index: 0, by }]);
  });

  it("T-20 reports it also where another device goes on telling of newer operations", async () => {
    const stage = new Stage(apps);
    const [reader] = await stage.openAll(1);
    assert.ok(reader);
    const [client, teller] = [newClient(), newClient()];
    const contents = Array.from({ length: 8 }, (_, index) => ({
      entries: [],
      heads: [{ client, index, tag: TAG }],
    }));
    for (const line of await sealedContents(stage.identity, teller, contents)) {
      await stage.put([line]);
      await runLater(stage, reader, 20 * SECOND);
    }
    assert.deepEqual(reader.refusals, [{ kind: "withheld", client, index: 0, by: teller }]);
    const kept = await keptIn(reader.store);
    assert.deepEqual(
      kept.map(({ index }) => index),
      [0, 7],
      "what is missing longest, and the newest",
    );
  });

  it("T-20 reports what the server does not show again", async () => {
    const stage = new Stage(apps);
    const [writer, reader] = await stage.openAll(2);
    assert.ok(writer && reader);
    await writer.write("a0");
    await reader.sync();
    reader.hide(({ client }) => client === writer.id);
    await runLater(stage, reader, SECOND);
    assert.deepEqual(reader.refusals, []);
    await runLater(stage, reader, PATIENCE - SECOND);
    assert.deepEqual(reader.refusals, []);
    await runLater(stage, reader, SECOND);
    assert.deepEqual(reader.refusals, [{ kind: "withheld", client: writer.id, index: 0 }]);
    reader.beHonest();
    await runLater(stage, reader, SECOND);
    assert.deepEqual(reader.refusals, []);
    reader.hide(({ client }) => client === writer.id);
    await runLater(stage, reader, SECOND);
    assert.deepEqual(reader.refusals, [], "it counts from the beginning");
    await writer.write("a1");
    reader.hide(({ client, index }) => client === writer.id && index === 0);
    await runLater(stage, reader, PATIENCE);
    assert.deepEqual([reader.refusals, reader.received], [[], ["a0", "a1"]]);
  });

  it("T-20 reports it after its clock was set back, by two minutes of the new time", async () => {
    const stage = new Stage(apps);
    const clock = new SetClock();
    const reader = await stage.open({ clock });
    await stage.tell([{ client: newClient(), index: 0, tag: TAG }]);
    await reader.sync();
    clock.offset = -24 * HOUR;
    const run = async (milliseconds: number) => {
      await clock.sleep(milliseconds, new AbortController().signal);
      await stage.restart(reader, { clock });
      await reader.sync();
      return reader.refusals.length;
    };
    assert.deepEqual([await run(0), await run(PATIENCE - 1), await run(1)], [0, 0, 1]);
  });
});

describe("the heads that a device keeps", () => {
  it("are those that no other device has told before", async () => {
    const stage = new Stage(apps);
    const reader = await stage.open();
    const [one, other] = [newClient(), newClient()];
    const heads = [one, other].map((client) => ({ client, index: 3, tag: TAG }));
    for (let i = 0; i < 5; i++) await stage.tell(heads);
    await stage.tell([{ client: one, index: 3, tag: "AAAAAAAAAAAAAAAAAAAAAQ" }]);
    await reader.sync();
    const kept = await keptIn(reader.store);
    assert.equal(kept.length, 3, "two, and another tag for one of them");
  });

  it("are not many more than those that are missing, however many devices there are", async () => {
    const stage = new Stage(apps);
    const reader = await stage.open();
    const heads: Head[] = [];
    const lines = [];
    for (let i = 0; i < 40; i++) {
      const client = newClient();
      const contents = [{ entries: [], heads: heads.slice() }];
      const [line] = await sealedContents(stage.identity, client, contents);
      assert.ok(line);
      lines.push(line);
      heads.push({ client, index: 0, tag: toBase64url(tagOf(line.payload)) });
    }
    reader.trick = (shown) => [...shown].reverse();
    for (const line of lines) await stage.put([line]);
    await reader.sync();
    assert.deepEqual(reader.reported, []);
    const kept = await keptIn(reader.store);
    assert.ok(kept.length < 40, `${kept.length} heads`);
  });

  it("are dropped once they have come, also where their device writes nothing more", async () => {
    const stage = new Stage(apps);
    const reader = await stage.open({ store: new MemoryStore() });
    const writers = await stage.openAll(20);
    for (const writer of writers) await writer.write("a0");
    reader.hide(({ client }) => writers.some(({ id }) => id === client));
    const witness = await stage.open();
    await witness.sync();
    await witness.write("I have them");
    await reader.sync();
    assert.equal((await keptIn(reader.store)).length, 20);
    reader.beHonest();
    await reader.sync();
    assert.deepEqual(await keptIn(reader.store), []);
    assert.equal(reader.received.length, 21);
  });
});
