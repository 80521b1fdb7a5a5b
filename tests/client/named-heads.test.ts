/** What devices tell each other that they have received, true or not (ENVELOPE.md, E-3.6 to E-3.8). */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Cursor } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { RunVerifier } from "../../client/verify.ts";
import { newIdentity } from "../support/private-keys.ts";
import { sealed, sealedContents } from "../support/sealed.ts";
import { HOUR, SECOND, Stage } from "../support/stage.ts";
import { useApps } from "../support/sync-app.ts";
import { newClient } from "../support/users.ts";

const apps = useApps();

const TAG = "AAAAAAAAAAAAAAAAAAAAAA";

describe("a device with the key that tells of what does not exist", () => {
  it("T-20 is taken at its word, and holds nothing back", async () => {
    const stage = new Stage(apps);
    const [writer, reader] = await stage.openAll(2);
    assert.ok(writer && reader);
    await writer.write("a0");
    const invented = newClient();
    const by = await stage.tell([
      { client: invented, index: 0, tag: TAG },
      { client: writer.id, index: 7, tag: TAG },
    ]);
    await stage.wait(reader);
    await writer.write("a1");
    await reader.sync();
    assert.deepEqual(reader.received, ["a0", "a1"]);
    assert.deepEqual(reader.refusals, [
      { kind: "withheld", client: invented, index: 0, by },
      { kind: "withheld", client: writer.id, index: 7, by },
    ]);
    assert.equal(reader.client.status.state, "synced");
    for (let i = 2; i <= 7; i++) await writer.write(`a${i}`);
    await reader.sync();
    assert.deepEqual(
      reader.refusals.map(({ kind, client }) => [kind, client]),
      [
        ["fork", writer.id],
        ["withheld", invented],
      ],
      "once it is there, it is another one",
    );
    assert.equal(reader.received.length, 8);
  });

  it("is ignored where it tells of indexes that no operation has", async () => {
    const stage = new Stage(apps);
    const store = new MemoryStore();
    const reader = await stage.open({ store });
    await stage.tell([{ client: newClient(), index: 2 ** 53, tag: TAG }]);
    await stage.tell([{ client: newClient(), index: 2 ** 64 - 2048, tag: TAG }]);
    const client = newClient();
    const by = await stage.tell([{ client, index: 2 ** 53 - 1, tag: TAG }]);
    await stage.wait(reader);
    const withheld = { kind: "withheld", client, index: 2 ** 53 - 1, by };
    assert.deepEqual(reader.refusals, [withheld]);
    const { cursors } = await store.load();
    await stage.restart(reader, { cursors });
    await stage.wait(reader);
    assert.deepEqual(reader.refusals, [withheld], "a store keeps what is kept of it");
  });

  it("is ignored where it tells of itself, and of what the reader has created", async () => {
    const stage = new Stage(apps);
    const reader = await stage.open();
    await reader.write("mine");
    const [mine] = await stage.stored();
    const tag = new RunVerifier(stage.identity).tagOf(mine?.payload ?? "") ?? "";
    const liar = newClient();
    const heads = [
      { client: liar, index: 0, tag: TAG },
      { client: reader.id, index: 0, tag },
    ];
    await stage.tell(heads, liar);
    await stage.wait(reader);
    assert.deepEqual(reader.reported, []);
  });

  it("T-20 is taken at its word where it tells of what others made under the reader's client id", async () => {
    const stage = new Stage(apps);
    const reader = await stage.open();
    await reader.write("mine");
    const by = await stage.tell([{ client: reader.id, index: 1, tag: TAG }]);
    await stage.wait(reader);
    assert.deepEqual(reader.refusals, [{ kind: "withheld", client: reader.id, index: 1, by }]);
    await reader.write("mine too");
    assert.deepEqual(reader.refusals, []);
  });

  it("T-20 is reported with the first device that named it, and only once", async () => {
    const stage = new Stage(apps);
    const reader = await stage.open();
    const client = newClient();
    const first = await stage.tell([{ client, index: 3, tag: TAG }]);
    await reader.sync();
    await stage.tell([{ client, index: 3, tag: TAG }]);
    await stage.tell([{ client, index: 2, tag: TAG }]);
    await stage.wait(reader);
    await stage.wait(reader);
    assert.deepEqual(reader.reported, [{ kind: "withheld", client, index: 3, by: first }]);
  });

  it("is remembered by the newest head that it named of a client", async () => {
    const stage = new Stage(apps);
    const reader = await stage.open();
    const [client, liar] = [newClient(), newClient()];
    const contents = [3, 2].map((index) => ({ entries: [], heads: [{ client, index, tag: TAG }] }));
    await stage.put(await sealedContents(stage.identity, liar, contents));
    await reader.sync();
    await stage.restart(reader);
    await stage.wait(reader);
    assert.deepEqual(reader.refusals, [{ kind: "withheld", client, index: 3, by: liar }]);
  });

  it("does not stop a device whose store has lost the heads", async () => {
    const stage = new Stage(apps);
    const store = new LosingStore();
    const [writer, reader] = [await stage.open(), await stage.open({ store })];
    for (const text of ["a0", "a1", "a2"]) await writer.write(text);
    await reader.sync();
    store.isLost = true;
    await stage.tell([{ client: writer.id, index: 1, tag: TAG }]);
    await writer.write("a3");
    await reader.sync();
    assert.deepEqual(reader.received, ["a0", "a1", "a2", "a3"]);
    assert.deepEqual(reader.reported, []);
  });
});

describe("a head that another device has named", () => {
  /** A reader that has just heard that an operation is withheld from it. */
  async function named(options = {}) {
    const stage = new Stage(apps);
    const [writer, witness] = await stage.openAll(2);
    const reader = await stage.open(options);
    assert.ok(writer && witness);
    await writer.write("a0");
    await reader.sync();
    reader.hide(({ client, index }) => client === writer.id && index > 0);
    await writer.write("a1");
    await witness.sync();
    await witness.write("b0");
    await reader.sync();
    const withheld = { kind: "withheld", client: writer.id, index: 1, by: witness.id };
    return { stage, writer, witness, reader, withheld };
  }

  /** What is withheld is reported after two minutes, until the server shows it. */
  async function assertReportedUntilShown({
    stage,
    reader,
    withheld,
  }: Pick<Awaited<ReturnType<typeof named>>, "stage" | "reader" | "withheld">) {
    await stage.wait(reader);
    assert.deepEqual(reader.refusals, [withheld]);
    reader.beHonest();
    await reader.sync();
    assert.deepEqual(reader.refusals, []);
  }

  it("T-20 is known after a restart with the store", async () => {
    const setup = await named();
    await setup.stage.restart(setup.reader);
    await assertReportedUntilShown(setup);
  });

  it("T-20 is known after a restart with the app's own cursors, and a new store", async () => {
    const cursors = new Map<string, Cursor>();
    const receive = (_: unknown, cursor: Cursor) => void cursors.set(cursor.client, cursor);
    const setup = await named({ receive });
    await setup.stage.restart(setup.reader, {
      receive,
      store: new MemoryStore(),
      cursors: [...cursors.values()],
    });
    await assertReportedUntilShown(setup);
  });

  it("T-20 comes with the cursor also where the app is handed what the store has", async () => {
    const { stage, reader, witness, withheld } = await named();
    const cursors = new Map<string, Cursor>();
    const receive = (_: unknown, cursor: Cursor) => void cursors.set(cursor.client, cursor);
    await stage.restart(reader, { receive, cursors: [] });
    await reader.sync();
    const heads = cursors.get(witness.id)?.heads ?? [];
    assert.deepEqual(
      heads.map(({ client, index }) => [client, index]),
      [[withheld.client, withheld.index]],
    );
  });

  it("is no longer in the cursor once the operation has come and the device writes again", async () => {
    const { reader, witness } = await named();
    const headsOf = async () => {
      const { cursors } = await reader.store.load();
      return cursors.find(({ client }) => client === witness.id)?.heads;
    };
    assert.equal((await headsOf())?.length, 1);
    reader.beHonest();
    await reader.sync();
    await witness.write("b1");
    await reader.sync();
    assert.equal(await headsOf(), undefined);
  });

  it("T-20 stays in the cursor while the device tells of other things", async () => {
    const { stage, reader, witness, withheld } = await named();
    await stage.open().then((other) => other.write("c0"));
    await witness.sync();
    await witness.write("b1");
    await reader.sync();
    await stage.restart(reader);
    await stage.wait(reader);
    assert.deepEqual(reader.refusals, [withheld]);
  });

  it("does not count for operations that another client id continues", async () => {
    const stage = new Stage(apps);
    const [reader] = await stage.openAll(1);
    assert.ok(reader);
    const { identity } = stage;
    const old = newClient();
    const [first, moved] = await sealed(identity, old, ["first", "moved"]);
    assert.ok(first && moved);
    await stage.put([first]);
    const tags = new RunVerifier(identity).tagOf(moved.payload)?.slice(0, 20) ?? "";
    const continues = [{ client: old, index: 1, tags }];
    const next = await sealedContents(identity, newClient(), [{ entries: [], continues }]);
    await stage.put(next);
    await stage.tell([{ client: old, index: 1, tag: TAG }]);
    await stage.wait(reader);
    await stage.wait(reader);
    assert.deepEqual(reader.reported, []);
  });

  it("is not reported for a client whose next operation was forged for a while", async () => {
    const stage = new Stage(apps);
    const [writer, reader] = await stage.openAll(2);
    assert.ok(writer && reader);
    await writer.write("a0");
    const [garbage] = await sealed(await newIdentity(), writer.id, ["garbage"], 1);
    assert.ok(garbage);
    reader.trick = (lines) => [...lines, garbage];
    for (let elapsed = 0; elapsed < 5 * HOUR; elapsed += 70 * SECOND) {
      await stage.pass(70 * SECOND);
      await reader.sync();
      if (elapsed > 2 * HOUR) reader.beHonest();
    }
    const kinds = new Set(reader.reported.map(({ kind }) => kind));
    assert.deepEqual([...kinds], ["forged"]);
  });

  it("is not reported while its client is not asked for, because of a forged operation", async () => {
    const stage = new Stage(apps);
    const [writer, reader] = await stage.openAll(2);
    assert.ok(writer && reader);
    await writer.write("a0");
    await reader.sync();
    const stranger = await newIdentity();
    const [garbage] = await sealed(stranger, writer.id, ["garbage"], 1);
    assert.ok(garbage);
    reader.trick = async (lines) => {
      // Time passes, and may end the suspension: the client was not asked for nevertheless.
      await stage.pass(30 * SECOND);
      const isAsked = (reader.asked.at(-1)?.[writer.id] ?? -1) < garbage.index;
      return [...lines.filter(({ client }) => client !== writer.id), ...(isAsked ? [garbage] : [])];
    };
    await stage.tell([{ client: writer.id, index: 1, tag: TAG }]);
    await reader.sync();
    for (let elapsed = 0; elapsed < HOUR; elapsed += 80 * SECOND) {
      await stage.pass(50 * SECOND);
      await reader.sync();
    }
    assert.deepEqual([...new Set(reader.reported.map(({ kind }) => kind))], ["forged"]);
    reader.beHonest();
    await stage.pass(HOUR);
    await stage.wait(reader);
    assert.deepEqual(
      reader.refusals.map(({ kind }) => kind),
      ["forged", "withheld"],
      "once it is asked for, it is missing",
    );
  });
});

/** A store that can lose what it has received. */
class LosingStore extends MemoryStore {
  isLost = false;

  override async readReceived(client: string, first: number, characters: number) {
    const received = await super.readReceived(client, first, characters);
    return this.isLost ? { ...received, payloads: received.payloads.map(() => "?") } : received;
  }
}
