/** A server that shows devices different histories of a client (ENVELOPE.md, E-3.6). */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Cursor } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { isCursor } from "../../client/stores/stored-values.ts";
import type { Line } from "../../protocol/types.ts";
import { sealed, tagOf } from "../support/sealed.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { type Actor, HOUR, PATIENCE, Stage } from "../support/stage.ts";
import { useApps } from "../support/sync-app.ts";
import { newClient } from "../support/users.ts";

const apps = useApps();

/** Two histories of one client id, which part at an index, and two devices that are shown one each. */
async function start(length: number, parting: number) {
  const stage = new Stage(apps);
  const id = newClient();
  const texts = (name: string) =>
    Array.from({ length }, (_, i) => (i < parting ? `both ${i}` : `${name} ${i}`));
  const one = await sealed(stage.identity, id, texts("one"));
  const before = one[parting - 1];
  const rest = await sealed(
    stage.identity,
    id,
    texts("other").slice(parting),
    parting,
    before && tagOf(before.payload),
  );
  const other = [...one.slice(0, parting), ...rest];
  const [first, second] = await stage.openAll(2);
  assert.ok(first && second);
  /** Which lines the server has of the client id for each. */
  const show = (actor: Actor, history: readonly Line[], count = length) => {
    actor.trick = (lines) => {
      const known = actor.asked.at(-1)?.[id] ?? -1;
      const shown = history.slice(0, count).filter(({ index }) => index > known);
      return [...shown, ...lines.filter(({ client }) => client !== id)];
    };
  };
  return { stage, id, one, other, first, second, show };
}

const restOf = (name: string, from: number, length: number) =>
  Array.from({ length: length - from }, (_, i) => `${name} ${from + i}`);

describe("a server that shows devices different histories", () => {
  it("T-20 is reported by the device that hears of the other one, and nothing is held back", async () => {
    const { id, stage, one, other, first, second, show } = await start(3, 1);
    show(first, one);
    show(second, other);
    await first.sync();
    await first.write("I have one");
    await second.sync();
    const fork = { kind: "fork", client: id, index: 2, by: first.id };
    assert.deepEqual(second.refusals, [fork]);
    assert.deepEqual(second.received, ["both 0", ...restOf("other", 1, 3), "I have one"]);
    assert.equal(second.client.status.state, "synced");
    assert.equal(second.client.status.refused, 0, "it has all of the history that it is shown");
    await second.write("I have the other");
    await first.sync();
    assert.deepEqual(first.refusals, [{ kind: "fork", client: id, index: 2, by: second.id }]);
    await stage.restart(first);
    await first.write("after a start it tells that again");
    await second.sync();
    assert.deepEqual(second.received.at(-1), "after a start it tells that again");
    assert.deepEqual(second.reported, [fork], "it is reported once");
    assert.deepEqual(second.refusals, [fork], "nothing undoes it");
    await stage.restart(second);
    await second.sync();
    assert.deepEqual(second.refusals, [], "until a device tells it again");
    await stage.restart(first);
    await first.write("and again after the next one");
    await second.sync();
    assert.deepEqual([second.refusals, second.client.status.refused], [[fork], 0]);
  });

  it("T-20 is reported where it shows the other history only after the device heard of the first", async () => {
    const { id, one, other, first, second, show } = await start(3, 1);
    show(first, one);
    show(second, other, 1);
    await first.sync();
    await first.write("I have one");
    await second.sync();
    assert.deepEqual(second.refusals, []);
    show(second, other);
    await second.sync();
    assert.deepEqual(second.refusals, [{ kind: "fork", client: id, index: 2, by: first.id }]);
    assert.deepEqual(second.received.slice(-2), restOf("other", 1, 3));
  });

  it("T-20 is reported also after a restart in between", async () => {
    const { id, stage, one, other, first, second, show } = await start(3, 0);
    show(first, one);
    show(second, []);
    await first.sync();
    await first.write("I have one");
    await second.sync();
    show(second, other);
    await stage.restart(second);
    await second.sync();
    assert.deepEqual(second.reported, [{ kind: "fork", client: id, index: 2, by: first.id }]);
  });

  it("T-20 is reported where the device has gone on behind what it hears of", async () => {
    const { id, one, other, first, second, show } = await start(4, 1);
    show(first, one, 2);
    show(second, other);
    await first.sync();
    await first.write("I have one of them");
    await second.sync();
    assert.deepEqual(second.refusals, [{ kind: "fork", client: id, index: 1, by: first.id }]);
  });

  it("is not reported before the histories part", async () => {
    const { one, other, first, second, show } = await start(4, 2);
    show(first, one, 2);
    show(second, other);
    await first.sync();
    await first.write("I have what both have");
    await second.sync();
    await second.write("I have more");
    show(first, other);
    await first.sync();
    assert.deepEqual([first.reported, second.reported], [[], []]);
  });

  it("is not reported where the device catches up in several runs", async () => {
    const { one, first, second, show } = await start(300, 300);
    show(first, one, 5);
    show(second, one, 1);
    await first.sync();
    await first.write("I have five");
    await second.sync();
    show(second, one);
    await second.sync();
    assert.equal(second.received.length, 301);
    assert.deepEqual(second.reported, []);
  });

  it("T-20 is reported to the client itself of which it shows another history", async () => {
    const stage = new Stage(apps);
    const [writer, other] = await stage.openAll(2);
    assert.ok(writer && other);
    await writer.write("mine");
    const rival = await sealed(stage.identity, writer.id, ["not mine"]);
    other.trick = (lines) => [...rival, ...lines.filter(({ client }) => client !== writer.id)];
    await other.sync();
    assert.deepEqual(other.received, ["not mine"]);
    await other.write("I have it");
    const { id } = writer;
    await writer.sync();
    assert.deepEqual(writer.refusals, [{ kind: "fork", client: id, index: 0, by: other.id }]);
    assert.deepEqual(writer.received, ["I have it"]);
    assert.equal(writer.id, id);
  });

  it("T-20 is reported for each client of which it shows two histories", async () => {
    const stage = new Stage(apps);
    const [first, second] = await stage.openAll(2);
    assert.ok(first && second);
    const ids = [newClient(), newClient()];
    for (const [name, actor] of [["one", first] as const, ["other", second] as const]) {
      const shown = await Promise.all(ids.map((id) => sealed(stage.identity, id, [name])));
      actor.trick = (lines) => [...shown.flat(), ...lines];
      await actor.sync();
      actor.beHonest();
    }
    await first.write("I have one");
    await second.sync();
    assert.deepEqual(
      second.reported.map(({ kind, client, by }) => [kind, client, by]),
      ids.map((id) => ["fork", id, first.id]),
    );
  });

  it("T-20 does not get away with a rival in the place of what it has to show again", async () => {
    const { id, stage, one, other, first, show } = await start(2, 1);
    show(first, one);
    await first.sync();
    show(first, other);
    await stage.restart(first);
    await first.sync();
    assert.deepEqual(first.reported, [{ kind: "fork", client: id, index: 1 }]);
    assert.deepEqual(first.received, ["both 0", "one 1"]);
  });

  it("T-20 that shows another operation in the place of the last one is reported for that", async () => {
    const stage = new Stage(apps);
    const [writer, witness, reader] = await stage.openAll(3);
    assert.ok(writer && witness && reader);
    for (const text of ["a0", "a1"]) await writer.write(text);
    await witness.write("b0");
    await reader.sync();
    const theirs = (await stage.stored()).find(({ client }) => client === witness.id);
    assert.ok(theirs);
    reader.trick = (lines) =>
      lines.map((line) =>
        line.client === writer.id ? { ...line, payload: theirs.payload } : line,
      );
    await stage.restart(reader);
    await reader.sync();
    assert.deepEqual(reader.reported, [{ kind: "forged", client: writer.id, index: 1 }]);
    for (let elapsed = 0; elapsed < HOUR; elapsed += PATIENCE) {
      await stage.pass(PATIENCE);
      await reader.sync();
    }
    assert.ok(reader.reported.every(({ client }) => client === writer.id));
    reader.beHonest();
    await stage.pass(2 * HOUR);
    await reader.sync();
    assert.deepEqual(reader.refusals, []);
  });

  it("T-20 is reported by a copy that it keeps apart from its original", async () => {
    const stage = new Stage(apps);
    const original = await stage.open();
    const [near, far] = await stage.openAll(2);
    assert.ok(near && far);
    await original.write("both");
    const { id } = original;
    const store = new MemoryStore();
    await store.begin(id);
    await store.append(id, 0, await original.store.read(id, 0, 1, Number.POSITIVE_INFINITY));
    await store.acknowledge(id, 1);
    // The copy, and those near it, are at a server of their own.
    const apart = new SimulatedServer();
    const other = new Stage(apps, apart);
    await other.put((await stage.stored()).filter(({ client }) => client === id));
    const copy = await other.open({ store });
    await copy.write("of the copy");
    await original.write("of the original");
    await other.restart(far);
    await far.sync();
    await far.write("from afar");
    await near.sync();
    assert.deepEqual(near.received, ["both", "of the original"]);
    await stage.put((await other.stored()).filter(({ client }) => client === far.id));
    await near.sync();
    assert.deepEqual(near.refusals, [{ kind: "fork", client: id, index: 1, by: far.id }]);
    await original.sync();
    assert.deepEqual(original.refusals, [{ kind: "fork", client: id, index: 1, by: far.id }]);
  });

  it("T-20 is accused at worst where a bit flips in what a device keeps, and nothing is held back", async () => {
    const { stage, one, first, second, show } = await start(3, 3);
    show(first, one);
    show(second, one, 1);
    await first.sync();
    await first.write("I have all");
    await second.sync();
    const { cursors } = await second.store.load();
    const stored = JSON.stringify(cursors);
    const at = stored.indexOf('"heads"');
    const end = stored.indexOf("]", at);
    for (let i = at; i < end; i++) {
      for (const bit of [1, 2, 4, 8, 16, 32, 64]) {
        const flipped = String.fromCharCode(stored.charCodeAt(i) ^ bit);
        const damaged = parsed(stored.slice(0, i) + flipped + stored.slice(i + 1));
        if (damaged === undefined) continue;
        second.received.length = 0;
        show(second, one);
        await stage.restart(second, { store: new MemoryStore(), cursors: damaged });
        await stage.wait(second);
        assert.deepEqual(second.received, ["both 1", "both 2"]);
        for (const { kind, by } of second.refusals) {
          assert.ok(kind === "fork" || kind === "withheld");
          assert.equal(by, first.id);
        }
      }
    }
  });
});

/** Cursors, if a text is that of some. */
function parsed(text: string): Cursor[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every(isCursor) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
