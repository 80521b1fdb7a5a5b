/** A server that withholds operations: devices tell each other, ask again, and report it (ENVELOPE.md, E-3.6). */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { altered } from "../support/altered-answer.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { type Actor, HOUR, PATIENCE, SECOND, Stage } from "../support/stage.ts";
import { answer, entriesOn, textsOf, useApps } from "../support/sync-app.ts";

const apps = useApps();

/** A writer with one operation that a witness and a reader have. */
async function start() {
  const stage = new Stage(apps);
  const [writer, witness, reader] = await stage.openAll(3);
  assert.ok(writer && witness && reader);
  await writer.write("a0");
  for (const one of [witness, reader]) await one.sync();
  return { stage, writer, witness, reader };
}

/** The writer writes once more, and the witness says that it has that. */
async function writeAndTell(writer: Actor, witness: Actor): Promise<void> {
  await writer.write("a1");
  await witness.sync();
  await witness.write("I have a1");
}

describe("a server that withholds operations", () => {
  it("T-20 is reported for the newest ones of a client, once another device tells of them", async () => {
    const { stage, writer, witness, reader } = await start();
    reader.hide(({ client, index }) => client === writer.id && index >= 1);
    await writeAndTell(writer, witness);
    await reader.sync();
    const withheld = { kind: "withheld", client: writer.id, index: 1, by: witness.id };
    assert.deepEqual(reader.received, ["a0", "I have a1"], "nothing is held back");
    await stage.pass(PATIENCE - 1);
    await reader.sync();
    assert.deepEqual(reader.refusals, [], "not within two minutes");
    assert.equal(reader.client.status.refused, 0);
    await stage.pass(1);
    await reader.sync();
    assert.deepEqual(reader.refusals, [withheld]);
    assert.deepEqual(reader.client.status, {
      state: "synced",
      pending: 0,
      refused: 1,
      live: false,
    });
    await witness.write("more");
    await reader.sync();
    assert.deepEqual(reader.received, ["a0", "I have a1", "more"], "nothing is held back");
    reader.beHonest();
    await reader.sync();
    assert.deepEqual(reader.received.at(-1), "a1");
    assert.deepEqual(reader.refusals, []);
    assert.equal(reader.client.status.refused, 0);
    await writer.write("a2");
    await reader.sync();
    assert.deepEqual(reader.reported, [withheld], "it is reported once");
  });

  it("T-20 is reported for all operations of a client", async () => {
    const { stage, writer, witness } = await start();
    const reader = await stage.open();
    reader.hide(({ client }) => client === writer.id);
    await writeAndTell(writer, witness);
    await reader.sync();
    await stage.pass(PATIENCE);
    await reader.sync();
    assert.deepEqual(reader.received, ["I have a1"]);
    assert.deepEqual(reader.refusals, [
      { kind: "withheld", client: writer.id, index: 1, by: witness.id },
    ]);
    reader.beHonest();
    await reader.sync();
    assert.deepEqual(reader.refusals, []);
    assert.deepEqual(reader.received, ["I have a1", "a0", "a1"]);
  });

  it("is not reported for an operation that comes within two minutes", async () => {
    const { stage, writer, witness, reader } = await start();
    reader.hide(({ client, index }) => client === writer.id && index >= 1);
    await writeAndTell(writer, witness);
    for (let elapsed = 0; elapsed < PATIENCE; elapsed += 10 * SECOND) {
      await reader.sync();
      await stage.pass(10 * SECOND);
    }
    reader.beHonest();
    await reader.sync();
    assert.deepEqual(reader.reported, []);
    assert.deepEqual(reader.received, ["a0", "I have a1", "a1"]);
  });

  it("is not reported by a server that always lags behind a writer that always writes", async () => {
    const { stage, writer, witness, reader } = await start();
    let shown = 0;
    reader.hide(({ client, index }) => client === writer.id && index > shown);
    for (let i = 1; i <= 20; i++) {
      await writer.write(`a${i}`);
      await witness.sync();
      await witness.write(`I have a${i}`);
      await reader.sync();
      await stage.pass(20 * SECOND);
      shown = i - 1;
    }
    assert.deepEqual(reader.reported, []);
    assert.equal(reader.received.includes("a18"), true);
  });

  it("T-20 is reported in two minutes also while the writer goes on", async () => {
    const { stage, writer, witness, reader } = await start();
    reader.hide(({ client, index }) => client === writer.id && index >= 1);
    for (let elapsed = 0; elapsed <= PATIENCE; elapsed += 20 * SECOND) {
      assert.deepEqual(reader.reported, []);
      await writeAndTell(writer, witness);
      await reader.sync();
      if (elapsed < PATIENCE) await stage.pass(20 * SECOND);
    }
    assert.deepEqual(
      reader.refusals.map(({ kind, client, by }) => [kind, client, by]),
      [["withheld", writer.id, witness.id]],
    );
    reader.beHonest();
    await reader.sync();
    assert.deepEqual(reader.refusals, []);
  });

  it("is not reported after an answer that was cut, but after the next whole one", async () => {
    const { stage, writer, witness, reader } = await start();
    reader.hide(({ client, index }) => client === writer.id && index >= 1);
    await writeAndTell(writer, witness);
    await reader.sync();
    let cuts = 0;
    await stage.restart(reader, {
      fetch: async (request) => {
        if (cuts++ < 12) return answer([], 1);
        assert.deepEqual(reader.reported, [], "a cut answer proves nothing");
        const response = await stage.server.fetch(request);
        return altered(response, (lines) => reader.trick(lines));
      },
    });
    const before = stage.clock.now();
    await reader.sync();
    assert.ok(stage.clock.now() - before > 2 * PATIENCE);
    assert.deepEqual(reader.refusals, [
      { kind: "withheld", client: writer.id, index: 1, by: witness.id },
    ]);
  });

  it("is not reported while the app does not take the answer", async () => {
    const { stage, writer, witness, reader } = await start();
    reader.hide(({ client, index }) => client === writer.id && index >= 1);
    await writeAndTell(writer, witness);
    await reader.sync();
    await stage.pass(PATIENCE);
    await witness.write("for an app that fails");
    let fails = true;
    await stage.restart(reader, {
      receive: () => {
        if (fails) throw new Error("the app fails");
      },
    });
    await stage.pass(PATIENCE);
    await assert.rejects(reader.sync(), /the app fails/);
    assert.deepEqual(reader.reported, []);
    fails = false;
    await reader.sync();
    assert.equal(reader.refusals.length, 1);
  });

  it("T-20 is reported by the device that finds its own answer shorter than what it had", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0" });
    const stage = new Stage(apps, server);
    const [writer, reader] = await stage.openAll(2);
    assert.ok(writer && reader);
    await writer.write("a0");
    await server.backUp();
    await writer.write("a1");
    await reader.sync();
    await server.restore();
    await stage.restart(reader);
    await reader.sync();
    assert.deepEqual(reader.refusals, [], "the server may not have listed it yet");
    await stage.pass(PATIENCE - 1);
    await reader.sync();
    assert.deepEqual(reader.refusals, []);
    await stage.pass(1);
    await reader.sync();
    assert.deepEqual(reader.refusals, [{ kind: "withheld", client: writer.id, index: 1 }]);
    await stage.pass(HOUR);
    await writer.sync();
    await reader.sync();
    assert.deepEqual(reader.refusals, [], "the writer has sent it again");
    assert.equal(reader.reported.length, 1);
    assert.deepEqual(textsOf(await entriesOn(reader.client)), ["a0", "a1"]);
    assert.deepEqual(reader.received, ["a0", "a1"], "it is not delivered once more");
  });

  it("takes a loss back once the client that has lost it goes on", async () => {
    const { stage, writer, reader } = await start();
    reader.hide(({ client }) => client === writer.id);
    await stage.pass(HOUR);
    await reader.sync();
    await stage.pass(PATIENCE);
    await reader.sync();
    assert.deepEqual(reader.refusals, [{ kind: "withheld", client: writer.id, index: 0 }]);
    reader.hide(({ client, index }) => client === writer.id && index === 0);
    await writer.write("a1");
    await reader.sync();
    assert.deepEqual(reader.received, ["a0", "a1"]);
    assert.deepEqual(reader.refusals, [], "what follows an operation proves it");
  });

  it("T-20 is asked for the last operation of each client at the start and then every hour", async () => {
    const { stage, writer, witness, reader } = await start();
    await writeAndTell(writer, witness);
    await reader.sync();
    assert.deepEqual(reader.asked, [{}, {}, { [writer.id]: 0 }], "not what came just now");
    const usual = { [writer.id]: 1, [witness.id]: 0 };
    const once = { [writer.id]: 0 };
    reader.asked.length = 0;
    await reader.sync();
    assert.deepEqual(reader.asked, [usual]);
    await stage.restart(reader);
    await reader.sync();
    assert.deepEqual(reader.asked.slice(0, 3), [usual, once, usual]);
    await stage.pass(HOUR - 1);
    await reader.sync();
    assert.deepEqual(reader.asked.at(-1), usual);
    await stage.pass(1);
    await reader.sync();
    assert.deepEqual(reader.asked.at(-1), once);
    await reader.sync();
    assert.deepEqual(reader.asked.at(-1), usual);
    assert.deepEqual(reader.received, ["a0", "a1", "I have a1"], "each is delivered once");
    assert.deepEqual(reader.reported, []);
  });

  it("T-20 is asked again two minutes later for what it did not show, and for that alone", async () => {
    const { stage, writer, witness, reader } = await start();
    await writeAndTell(writer, witness);
    await reader.sync();
    await stage.pass(HOUR);
    reader.hide(({ client }) => client === writer.id);
    const asks = async () => {
      await reader.sync();
      return reader.asked.at(-1);
    };
    assert.deepEqual(await asks(), { [writer.id]: 0 });
    const usual = { [writer.id]: 1, [witness.id]: 0 };
    assert.deepEqual(await asks(), usual);
    await stage.pass(PATIENCE - 1);
    assert.deepEqual(await asks(), usual);
    await stage.pass(1);
    assert.deepEqual(await asks(), { [writer.id]: 0, [witness.id]: 0 });
    assert.deepEqual(reader.refusals, [{ kind: "withheld", client: writer.id, index: 1 }]);
    await stage.pass(PATIENCE);
    assert.deepEqual(await asks(), { [writer.id]: 0, [witness.id]: 0 });
    reader.beHonest();
    await stage.pass(PATIENCE);
    await reader.sync();
    assert.deepEqual(reader.refusals, [], "it is taken back");
  });

  it("is asked once more while the client waits for news", async () => {
    const { stage, writer, reader } = await start();
    let asked = 0;
    await stage.restart(reader, {
      pollInterval: 30_000,
      fetch: async (request) => {
        const { sync_status: status } = JSON.parse(await request.clone().text());
        if (status[writer.id] === undefined) asked++;
        return answer([]);
      },
    });
    await reader.sync();
    await stage.pass(0);
    while (reader.reported.length === 0) await stage.pass(0);
    assert.ok(asked >= 2);
    assert.deepEqual(reader.reported, [{ kind: "withheld", client: writer.id, index: 0 }]);
  });
});
