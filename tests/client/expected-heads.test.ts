/** A new device that knows from the text of its key what there is (ENVELOPE.md, E-6.9). */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { headsIn } from "../../client/identity/key-heads.ts";
import { withHeads } from "../../client/identity.ts";
import type { Identity } from "../../client/index.ts";
import { sealed } from "../support/sealed.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { type Actor, HOUR, PATIENCE, SECOND, Stage } from "../support/stage.ts";
import { useApps } from "../support/sync-app.ts";
import vectors from "../vectors/envelope.json" with { type: "json" };

const apps = useApps();

/** The identity on a device to which another one now gives the text of the key. */
async function importedFrom(stage: Stage, actor: Actor): Promise<Identity> {
  const { identity } = stage;
  // Any key will do: its passphrase is not asked for.
  const text = await withHeads(vectors.key_text.text, identity, await actor.client.heads());
  const heads = (await headsIn(text, identity)) ?? assert.fail();
  return { ...identity, expected: { heads, since: stage.clock.now() } };
}

/** A writer with two operations, and another with one, which has received them. */
async function start(server = new SimulatedServer()) {
  const stage = new Stage(apps, server);
  const [writer, other] = await stage.openAll(2);
  assert.ok(writer && other);
  for (const text of ["a0", "a1"]) await writer.write(text);
  await other.write("b0");
  await other.sync();
  return { stage, writer, other };
}

const withheld = (client: string, index: number) => {
  return { kind: "withheld", client, index, by: "key" };
};

describe("a new device whose key says what there is", () => {
  it("T-20 finds from that alone that the server shows it nothing", async () => {
    const { stage, writer, other } = await start();
    const fresh = await stage.open({ identity: await importedFrom(stage, other) });
    fresh.hide(() => true);
    await fresh.sync();
    await stage.pass(PATIENCE - 1);
    await fresh.sync();
    assert.deepEqual(fresh.reported, [], "not within two minutes");
    await stage.pass(1);
    await fresh.sync();
    assert.deepEqual(fresh.refusals, [withheld(other.id, 0), withheld(writer.id, 1)]);
    assert.equal(fresh.client.status.state, "synced");
    assert.equal(fresh.client.status.refused, 2);
    fresh.beHonest();
    await fresh.sync();
    assert.deepEqual(fresh.refusals, []);
    assert.equal(fresh.received.length, 3);
    assert.equal(fresh.reported.length, 2, "each is reported once");
  });

  it("T-20 finds that the newest operation of a device is missing", async () => {
    const { stage, writer, other } = await start();
    const fresh = await stage.open({ identity: await importedFrom(stage, other) });
    fresh.hide(({ client, index }) => client === writer.id && index === 1);
    await stage.wait(fresh);
    assert.deepEqual(fresh.refusals, [withheld(writer.id, 1)]);
    await writer.write("a2");
    fresh.beHonest();
    await fresh.sync();
    assert.deepEqual(fresh.refusals, []);
  });

  it("T-20 finds it at the first sync, however often it starts, once two minutes have passed since the import", async () => {
    const { stage, writer, other } = await start();
    const identity = await importedFrom(stage, other);
    const fresh = await stage.open({ identity });
    fresh.hide(({ client }) => client === writer.id);
    for (let elapsed = 0; elapsed < PATIENCE; elapsed += 40 * SECOND) {
      await stage.restart(fresh, { identity });
      await fresh.sync();
      assert.deepEqual(fresh.reported, []);
      await stage.pass(40 * SECOND);
    }
    await stage.restart(fresh, { identity });
    await fresh.sync();
    assert.deepEqual(fresh.reported, [withheld(writer.id, 1)]);
    await stage.restart(fresh, { identity });
    fresh.beHonest();
    await fresh.sync();
    await stage.restart(fresh, { identity });
    await stage.wait(fresh);
    assert.deepEqual(fresh.reported, [withheld(writer.id, 1)], "it has come");
  });

  it("T-20 finds that the server shows it another history", async () => {
    const { stage, writer, other } = await start();
    const rival = await sealed(stage.identity, writer.id, ["x0", "x1"]);
    const fresh = await stage.open({ identity: await importedFrom(stage, other) });
    fresh.trick = (lines) => {
      const isKnown = fresh.asked.at(-1)?.[writer.id] !== undefined;
      return [...(isKnown ? [] : rival), ...lines.filter(({ client }) => client !== writer.id)];
    };
    await fresh.sync();
    assert.deepEqual(fresh.reported, [{ kind: "fork", client: writer.id, index: 1, by: "key" }]);
  });

  it("reports nothing of a server that shows everything, nor of what came after the text was made", async () => {
    const { stage, writer, other } = await start();
    const identity = await importedFrom(stage, other);
    await writer.write("a2");
    const fresh = await stage.open({ identity });
    await stage.wait(fresh);
    await fresh.write("c0");
    for (const one of [writer, other, fresh]) {
      await stage.restart(one, one === fresh ? { identity } : {});
      await stage.wait(one);
    }
    assert.deepEqual(fresh.reported, []);
    assert.deepEqual(fresh.received.sort(), ["a0", "a1", "a2", "b0"]);
  });

  it("reports nothing where the clock of the device was set back", async () => {
    const { stage, other } = await start();
    const identity = await importedFrom(stage, other);
    const since = stage.clock.now() + 1000 * HOUR;
    const heads = identity.expected?.heads ?? [];
    const fresh = await stage.open({ identity: { ...identity, expected: { heads, since } } });
    fresh.hide(() => true);
    await fresh.sync();
    assert.deepEqual(fresh.reported, []);
    await stage.wait(fresh);
    assert.equal(fresh.reported.length, 2, "but for longer than two minutes");
  });

  it("reports no longer what a server has lost, once the devices have sent it again", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0" });
    const { stage, writer, other } = await start(server);
    await server.backUp();
    await writer.write("a2");
    await other.write("b1");
    await other.sync();
    const identity = await importedFrom(stage, other);
    await server.restore();
    const fresh = await stage.open({ identity });
    await stage.wait(fresh);
    assert.deepEqual(fresh.refusals, [withheld(other.id, 1), withheld(writer.id, 2)]);
    await stage.pass(HOUR);
    for (const one of [writer, other, fresh]) await one.sync();
    assert.deepEqual(fresh.refusals, []);
    await stage.restart(fresh, { identity });
    await stage.wait(fresh);
    assert.deepEqual(fresh.refusals, []);
    assert.equal(fresh.reported.length, 2);
  });

  it("reports nothing of operations that moved to another client id after the text was made", async () => {
    const { stage, writer, other } = await start();
    const { id } = writer;
    const heads = [...(await other.client.heads()), { client: id, index: 3, tag: "A".repeat(22) }];
    // Garbage has the place of its next operation: it goes on from there under another client id.
    await stage.put([{ client: id, index: 2, payload: "garbage" }]);
    await writer.write("a2");
    assert.notEqual(writer.id, id);
    const expected = { heads, since: stage.clock.now() };
    const fresh = await stage.open({ identity: { ...stage.identity, expected } });
    await stage.wait(fresh);
    assert.deepEqual(fresh.refusals, []);
    assert.deepEqual(fresh.received.sort(), ["a0", "a1", "a2", "b0"]);
  });
});

describe("the heads that a device gives with the text of the key", () => {
  it("begin with its own, go on with what came last, and leave out what is not acknowledged", async () => {
    const stage = new Stage(apps);
    const writers = await stage.openAll(3);
    const giver = await stage.open();
    await giver.write("own");
    for (const [i, writer] of writers.entries()) {
      await writer.write(`${i}`);
      await stage.pass(SECOND);
      await giver.sync();
    }
    await stage.pass(SECOND);
    const [first, second, third] = writers;
    assert.ok(first && second && third);
    await first.write("again");
    await giver.sync();
    const places = async () => (await giver.client.heads()).map((one) => [one.client, one.index]);
    const all = [
      [giver.id, 0],
      [first.id, 1],
      [third.id, 0],
      [second.id, 0],
    ];
    assert.deepEqual(await places(), all);
    await stage.restart(giver, { fetch: async () => new Response(null, { status: 503 }) });
    assert.deepEqual(await places(), all, "after a restart as well");
    await giver.client.append("offline");
    assert.deepEqual(await places(), all);
  });
});
