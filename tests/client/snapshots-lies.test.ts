/** A server that lies about snapshots, and answers that come damaged: what the app has stays. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { type Refusal, SyncClient, textOf } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { newIdentity } from "../support/private-keys.ts";
import { URL_OF_SERVER } from "../support/simulated-network.ts";
import {
  assertHave,
  HOUR,
  many,
  type ServerLine,
  SnapshotStage,
  write,
} from "../support/snapshot-stage.ts";
import { problem } from "../support/sync-app.ts";

const YEAR = 365 * 24 * HOUR;

describe("a server that lies about snapshots", () => {
  let stage: SnapshotStage;
  const begin = async (settings: Record<string, string> = {}) => {
    stage = new SnapshotStage(await newIdentity(), settings);
  };
  afterEach(async () => {
    for (const device of stage.devices) await device.stop();
  });

  /** Cuts the tag off the snapshot with which the next answer begins. */
  const damageNext = () => {
    stage.alter = (lines) => {
      const [line] = lines;
      if (line?.snapshot === undefined) return;
      line.payload = line.payload.slice(0, -30).padEnd(line.payload.length, "A");
      stage.alter = () => undefined;
    };
  };

  /** The last line of a snapshot with which an answer began. */
  const lastSnapshot = (): ServerLine =>
    stage.answers.flat().findLast(({ snapshot }) => snapshot !== undefined) ??
    assert.fail("no answer began with one");

  it("changes nothing on a device that has not asked for one", async () => {
    await begin({ RETENTION: "30d" });
    const [laptop, phone] = [stage.device(), stage.device()];
    const texts = many("note");
    await write(laptop, texts);
    assert.ok(await phone.sync());
    const snapshot = lastSnapshot();
    const received: string[] = [];
    const refusals: Refusal[] = [];
    const store = new MemoryStore();
    const client = await SyncClient.open({
      url: URL_OF_SERVER,
      identity: stage.identity,
      store,
      clock: stage.clock,
      fetch: stage.fetch,
      pollInterval: Infinity,
      idleTimeout: Infinity,
      receive: (entries) => {
        received.push(...entries.map(({ data }) => textOf(data)));
      },
      onRefusal: (refusal) => refusals.push(refusal),
    });
    try {
      await client.sync();
      assert.deepEqual(received, texts);
      stage.alter = (lines) => lines.unshift(structuredClone(snapshot));
      await client.sync();
      const { client_id, operation_index: index } = snapshot;
      assert.deepEqual(refusals, [{ kind: "out of place", client: client_id, index }]);
      assert.deepEqual(received, texts);
      const held: string[] = [];
      for await (const entries of client.entries()) {
        held.push(...entries.map(({ data }) => textOf(data)));
      }
      assert.deepEqual(held, texts);
      assert.equal((await store.load()).snapshot, undefined);
    } finally {
      await client.close();
    }
  });

  it("gives a device no snapshot of another user", async () => {
    await begin({ RETENTION: "30d" });
    const other = stage;
    const theirs = other.device();
    await write(theirs, many("theirs", 15));
    assert.ok(await other.device().sync());
    const snapshot = lastSnapshot();
    for (const device of other.devices) await device.stop();
    await begin({ RETENTION: "30d" });
    const [laptop, phone] = [stage.device(Infinity), stage.device(Infinity)];
    const texts = ["one", "two"];
    await write(laptop, texts);
    stage.alter = (lines) => {
      if (stage.requests.at(-1)?.snapshots === true) lines.unshift(structuredClone(snapshot));
    };
    assert.ok(await phone.sync());
    assert.equal(stage.requests.at(-1)?.snapshots, false);
    assert.equal(phone.snapshots.loaded, 0);
    assertHave([laptop, phone], texts);
  });

  it("has a device keep back what it says to have deleted, and not take one client id after another", async () => {
    await begin({ RETENTION: "30d" });
    const [laptop, phone] = [stage.device(), stage.device()];
    await write(laptop, ["before"]);
    stage.refuse = ({ payload, operation_index: index }) =>
      payload === undefined
        ? undefined
        : problem(409, "operation-trimmed", { next_index: Number(index) + 1000 });
    const texts = ["one", "two"];
    await laptop.append(texts);
    const before = stage.requests.length;
    await assert.rejects(laptop.sync(), /So it is\./);
    assert.ok(stage.requests.length - before < 10, `${stage.requests.length - before} requests`);
    assert.ok(laptop.changes.length < 3, `${laptop.changes.length} client ids`);
    stage.refuse = () => undefined;
    assert.ok(await laptop.sync());
    assert.ok(await phone.sync());
    assertHave([laptop, phone], ["before", ...texts]);
  });

  it("keeps a device from beginning for no longer than it lies, where the log is trimmed", async () => {
    await begin();
    const [laptop, phone] = [stage.device(), stage.device()];
    const texts = many("note", 60);
    await write(laptop, texts);
    await stage.trim(laptop);
    damageNext();
    await assert.rejects(phone.sync(), /snapshot/);
    assert.ok(await phone.sync());
    assertHave([phone], texts);
  });

  it("has a device ask without snapshots for an hour, also where its clock is set back meanwhile", async () => {
    await begin({ RETENTION: "30d" });
    const [laptop, phone] = [stage.device(), stage.device()];
    await write(laptop, many("note"));
    const asks = () => stage.requests.at(-1)?.snapshots;
    damageNext();
    assert.ok(await phone.sync());
    assert.equal(asks(), false);
    stage.clock.pass(HOUR - 1);
    assert.ok(await phone.sync());
    assert.equal(asks(), false);
    stage.clock.pass(-YEAR);
    assert.ok(await phone.sync());
    assert.equal(asks(), true);
  });

  for (const [what, isFirst] of [
    ["less", true],
    ["nothing", false],
  ] as const) {
    it(`T-20 is caught where it goes back to a snapshot with ${what} of a device, and hides the rest`, async () => {
      await begin({ RETENTION: "30d" });
      const [laptop, tablet, phone] = [stage.device(), stage.device(), stage.device(Infinity)];
      if (isFirst) await write(laptop, ["first"]);
      assert.ok(await phone.sync());
      await write(tablet, many("tablet", 15));
      assert.ok(await stage.device().sync());
      const snapshot = lastSnapshot();
      const hide = (client: string | undefined, more: readonly ServerLine[] = []) => {
        stage.alter = (lines) => {
          const shown = lines.filter(({ client_id }) => client_id !== client);
          lines.splice(0, lines.length, ...structuredClone(more), ...shown);
        };
      };
      // What the tablet has written, the others do not get yet.
      hide(snapshot.client_id);
      for (const text of many("laptop", 30)) {
        await write(laptop, [text]);
        assert.ok(await phone.sync());
      }
      assert.equal((await phone.kept()).snapshot, true);
      const last = [...laptop.created.values()].at(-1);
      hide(last?.client, [snapshot]);
      assert.ok(await phone.sync());
      const all = [...laptop.appended, ...tablet.appended];
      assert.equal(phone.texts.length, all.length - 30);
      hide(last?.client);
      await phone.stop();
      stage.clock.pass(HOUR);
      assert.ok(await phone.sync());
      const by = isFirst ? {} : { by: snapshot.client_id };
      assert.deepEqual(await phone.refused(), [
        { kind: "withheld", client: last?.client, index: last?.index, ...by },
      ]);
      stage.alter = () => undefined;
      assert.ok(await phone.sync());
      assert.deepEqual(await phone.refused(), []);
      assert.deepEqual(phone.texts.toSorted(), all.toSorted());
    });
  }
});
