/** Devices that make snapshots of the app's state, and take them: at the real handler. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { newIdentity } from "../support/private-keys.ts";
import { Device } from "../support/simulated-device.ts";
import { nextTick } from "../support/simulated-network.ts";
import {
  assertHave,
  HOUR,
  many,
  type ServerLine,
  SnapshotStage,
  write,
} from "../support/snapshot-stage.ts";
import { problem } from "../support/sync-app.ts";

describe("snapshots", () => {
  let stage: SnapshotStage;
  const begin = async (settings: Record<string, string> = {}) => {
    stage = new SnapshotStage(await newIdentity(), settings);
  };
  beforeEach(() => begin());
  afterEach(async () => {
    for (const device of stage.devices) await device.stop();
  });

  it("are made once enough was appended, and a new device begins with one and receives the rest", async () => {
    const [laptop, phone] = [stage.device(), stage.device()];
    const texts = many("note");
    await write(laptop, texts);
    assert.ok(laptop.snapshots.saved > 0);
    await write(laptop, ["the last one"]);
    const before = stage.answers.length;
    assert.ok(await phone.sync());
    assert.equal(phone.snapshots.loaded, 1);
    assertHave([laptop, phone], [...texts, "the last one"]);
    const lines = stage.answers.slice(before).flat();
    assert.ok(lines[0]?.snapshot !== undefined);
    assert.ok(lines.length < texts.length, `${lines.length} lines`);
  });

  it("are not made without need", async () => {
    const laptop = stage.device();
    await write(laptop, ["a note"]);
    assert.equal(laptop.snapshots.saved, 0);
    await write(laptop, many("note"));
    const { saved } = laptop.snapshots;
    for (let times = 0; times < 5; times++) assert.ok(await laptop.sync());
    await laptop.stop();
    assert.ok(await laptop.sync());
    assert.equal(laptop.snapshots.saved, saved);
  });

  it("have a device that was away catch up where all that it lacks is deleted, with what it had not sent", async () => {
    const [laptop, phone] = [stage.device(), stage.device()];
    await write(laptop, ["before"]);
    await write(phone, ["of the phone"]);
    assert.ok(await laptop.sync());
    await phone.append(["not sent"]);
    await phone.stop();
    const texts = many("while it was away", 60);
    const objects = await stage.server.count();
    await write(laptop, texts);
    await stage.trim(laptop);
    await write(laptop, ["after"]);
    assert.ok((await stage.server.count()) < objects + texts.length, "something is deleted");
    assert.ok(await phone.sync());
    assert.equal(phone.snapshots.loaded, 1);
    assert.ok(await laptop.sync());
    assertHave([laptop, phone], [...texts, "before", "of the phone", "not sent", "after"]);
  });

  it("take the place of what a device has, which goes on from there when it is opened again", async () => {
    const [laptop, phone] = [stage.device(), stage.device(Infinity)];
    const texts = many("note");
    for (const text of texts) {
      await write(laptop, [text]);
      assert.ok(await phone.sync());
    }
    assert.equal(phone.snapshots.loaded, 0);
    const held = (await phone.held()).length;
    assert.ok(held < texts.length, `${held} entries are read`);
    const { operations, snapshot } = await phone.kept();
    assert.ok(snapshot && operations < texts.length, `${operations} operations are kept`);
    await phone.forgetData();
    assert.ok(await phone.sync());
    assert.equal(phone.snapshots.loaded, 1);
    assertHave([laptop, phone], texts);
  });

  it("take the place of operations only once a device has all of these", async () => {
    const [laptop, tablet, phone] = [stage.device(), stage.device(), stage.device(Infinity)];
    await write(tablet, ["of the tablet"]);
    const hidden = stage.requests[0]?.client_id;
    assert.ok(await laptop.sync());
    const texts = many("note");
    for (const text of texts) {
      await write(laptop, [text]);
      // The phone is not shown what the tablet has written.
      stage.alter = (lines) => {
        const shown = lines.filter(({ client_id }) => client_id !== hidden);
        lines.splice(0, lines.length, ...shown);
      };
      assert.ok(await phone.sync());
      stage.alter = () => undefined;
    }
    assert.ok(laptop.snapshots.saved > 0);
    assert.equal((await phone.kept()).snapshot, false);
    assert.deepEqual(await phone.held(), [...texts].sort());
    assert.ok(await phone.sync());
    assert.equal((await phone.kept()).snapshot, true);
    assertHave([laptop, phone], [...texts, "of the tablet"]);
  });

  it("are loaded again where the app could not take one, and nothing is skipped", async () => {
    const [laptop, phone] = [stage.device(), stage.device()];
    const texts = many("note");
    await write(laptop, texts);
    phone.failures = 2;
    await assert.rejects(phone.sync(), /cannot load/);
    while (phone.snapshots.loaded === 0) await phone.sync().catch(() => undefined);
    assert.ok(await phone.sync());
    assertHave([laptop, phone], texts);
  });

  it("are not taken where they are forged, or not as the server says: the operations are read instead", async () => {
    await begin({ RETENTION: "30d" });
    const laptop = stage.device();
    const texts = many("note");
    await write(laptop, texts);
    const lies: ((line: Required<ServerLine>) => void)[] = [
      (line) => {
        line.payload = `${line.payload.slice(0, -30)}${"A".repeat(30)}`;
      },
      (line) => {
        line.snapshot.covers[crypto.randomUUID()] = 3;
      },
      (line) => {
        const [client = ""] = Object.keys(line.snapshot.covers);
        line.snapshot.covers[client] = (line.snapshot.covers[client] ?? 0) + 1;
      },
      (line) => {
        line.snapshot.covers = {};
      },
    ];
    for (const lie of lies) {
      stage.alter = (lines) => {
        const [line] = lines;
        const { payload, snapshot } = line ?? {};
        if (line !== undefined && snapshot !== undefined && payload !== undefined) {
          const copy = { ...line, payload, snapshot };
          lie(copy);
          line.payload = copy.payload;
          line.snapshot = copy.snapshot;
        }
      };
      const phone = stage.device();
      assert.ok(await phone.sync());
      assert.equal(phone.snapshots.loaded, 0);
      assertHave([phone], texts);
    }
  });

  it("of another history than a device has are a fork, and are not taken", async () => {
    await begin({ RETENTION: "30d" });
    const [laptop, phone] = [stage.device(), stage.device()];
    await write(laptop, ["a note"]);
    await stage.server.backUp();
    await write(laptop, ["one that is lost"]);
    assert.ok(await phone.sync());
    const copy = stage.device();
    await stage.server.restore();
    // A copy of the laptop goes on from the backup as well, under the same client id.
    await copy.copy(laptop);
    await laptop.stop();
    await write(copy, many("of the copy"));
    assert.ok(await phone.sync());
    assert.ok(phone.texts.includes("one that is lost"));
    for (const text of copy.appended) assert.ok(phone.texts.includes(text));
    assert.equal(new Set(phone.texts).size, phone.texts.length);
  });

  it("have a copy of a device go on under another client id, with what it had not sent", async () => {
    const [laptop, copy, phone] = [stage.device(), stage.device(), stage.device()];
    await write(laptop, ["before"]);
    await write(phone, ["of the phone"]);
    assert.ok(await laptop.sync());
    await copy.copy(laptop);
    stage.refuse = () => new Response(null, { status: 503 });
    await copy.append(["not sent"]);
    await copy.stop();
    stage.refuse = () => undefined;
    // Under the same client id, and in the same place.
    const texts = many("of the laptop", 60);
    await write(laptop, texts);
    await stage.trim(laptop);
    await write(laptop, ["after"]);
    assert.ok(await copy.sync());
    for (const device of [laptop, phone]) assert.ok(await device.sync());
    assertHave([laptop, copy, phone], [...texts, "before", "of the phone", "not sent", "after"]);
    assert.equal(copy.changes.length, 1);
    assert.equal(laptop.changes.length, 0);
  });

  it("that the server does not take become operations like any other", async () => {
    const [laptop, phone] = [stage.device(), stage.device()];
    stage.refuse = ({ snapshot }) =>
      snapshot === undefined ? undefined : problem(409, "snapshot-refused");
    const texts = many("note");
    await write(laptop, texts);
    assert.equal(laptop.snapshots.saved, 1);
    assert.equal(stage.requests.filter(({ snapshot }) => snapshot !== undefined).length, 1);
    assert.ok(await phone.sync());
    assert.equal(phone.snapshots.loaded, 0);
    assertHave([laptop, phone], texts);
  });

  it("that are too large for the server are not made, and nothing else is wrong", async () => {
    await begin({ MAX_BODY: "64KiB" });
    const [laptop, phone] = [stage.device(), stage.device()];
    const texts = many("note".repeat(400), 50);
    await write(laptop, texts);
    assert.deepEqual([...new Set(stage.statuses)], [200]);
    // The app is not asked again after each operation.
    const { saved } = laptop.snapshots;
    assert.ok(saved > 1 && saved < texts.length / 2, `${saved} times`);
    assert.ok(await phone.sync());
    assertHave([laptop, phone], texts);
  });

  it("that a proxy takes for too large stay on the device, and what comes later is sent", async () => {
    const [laptop, phone] = [stage.device(), stage.device()];
    stage.refuse = ({ snapshot }) =>
      snapshot === undefined ? undefined : new Response("<h1>Too large</h1>", { status: 413 });
    const texts = many("note", 30);
    await write(laptop, texts);
    assert.deepEqual(await laptop.tooLarge(), []);
    assert.ok(await phone.sync());
    assertHave([laptop, phone], texts);
    await laptop.stop();
    assert.ok(await laptop.sync());
    await write(laptop, ["later"]);
    assert.ok(await phone.sync());
    assertHave([laptop, phone], [...texts, "later"]);
    assert.equal(laptop.snapshots.saved, 1);
  });

  it("that a device cannot read any more are fetched again", async () => {
    const [laptop, phone] = [stage.device(), stage.device()];
    const texts = many("note");
    await write(laptop, texts);
    assert.ok(await phone.sync());
    await phone.damageSnapshot();
    await phone.forgetData();
    assert.ok(await phone.sync());
    assertHave([laptop, phone], texts);
    assert.equal(phone.snapshots.loaded, 2);
  });

  it("that a device with data cannot read any more are fetched again, and nothing is delivered twice", async () => {
    const [laptop, phone] = [stage.device(), stage.device(Infinity)];
    const texts = many("note");
    await write(laptop, texts);
    assert.ok(await phone.sync());
    await phone.damageSnapshot();
    await write(laptop, ["later"]);
    assert.ok(await phone.sync());
    assertHave([laptop, phone], [...texts, "later"]);
  });

  it("vouch for what the server had stored before its answer was lost, also under a second client id", async () => {
    const [laptop, copy] = [stage.device(), stage.device(Infinity)];
    await write(laptop, ["before"]);
    await copy.copy(laptop);
    await write(laptop, ["of the laptop"]);
    await copy.append(["of the copy"]);
    stage.lose = true;
    while (!stage.stored.has(copy.changes[0]?.to)) await nextTick();
    await copy.stop();
    stage.lose = false;
    const texts = many("while it was away", 60);
    await write(laptop, texts);
    await stage.trim(laptop);
    assert.ok(await copy.sync());
    assert.ok(await laptop.sync());
    assertHave([laptop, copy], [...texts, "before", "of the laptop", "of the copy"]);
    assert.equal(copy.changes.length, 1);
  });

  it("that a server has lost are snapshots again once they are back", async () => {
    await begin({ RETENTION: "30d" });
    const [laptop, phone] = [stage.device(), stage.device()];
    await write(laptop, ["before"]);
    await stage.server.backUp();
    const texts = many("note");
    await write(laptop, texts);
    assert.ok(laptop.snapshots.saved > 0);
    await stage.server.restore();
    stage.clock.pass(HOUR);
    assert.ok(await laptop.sync());
    assert.ok(await phone.sync());
    assert.equal(phone.snapshots.loaded, 1);
    assertHave([laptop, phone], [...texts, "before"]);
  });

  it("are loaded where the app has everything, and the store has lost what is deleted on the server", async () => {
    const [laptop, phone] = [stage.device(), stage.device()];
    const texts = many("note", 60);
    await write(phone, ["of the phone"]);
    await write(laptop, texts);
    await stage.trim(laptop);
    assert.ok(await phone.sync());
    await phone.loseReceived();
    assert.ok(await phone.sync());
    await write(laptop, ["later"]);
    assert.ok(await phone.sync());
    assertHave([phone], [...texts, "of the phone", "later"]);
    await phone.forgetData();
    assert.ok(await phone.sync());
    assertHave([laptop, phone], [...texts, "of the phone", "later"]);
  });

  it("bring again what they do not stand for, also where only the app had that", async () => {
    const [laptop, phone, tablet] = [stage.device(), stage.device(), stage.device()];
    await write(phone, ["of the phone"]);
    await write(tablet, ["of the tablet"]);
    assert.ok(await phone.sync());
    const [ofTablet] = [...tablet.created.values()];
    stage.alter = (lines) => {
      const others = lines.filter((line) => line.client_id !== ofTablet?.client);
      lines.splice(0, lines.length, ...others);
    };
    const texts = many("note", 60);
    await write(laptop, texts);
    await stage.trim(laptop);
    stage.alter = () => undefined;
    await phone.loseReceived();
    assert.ok(await phone.sync());
    assert.equal(phone.snapshots.loaded, 1);
    assertHave([phone], [...texts, "of the phone", "of the tablet"]);
  });

  it("are required after a deletion: an app without them cannot read the log, and reports that", async () => {
    const laptop = stage.device();
    await write(laptop, many("note", 60));
    await stage.trim(laptop);
    const { identity, clock, fetch } = stage;
    const old = new Device({ identity, clock, fetch, random: () => 0, sign: true });
    stage.devices.push(old);
    await assert.rejects(old.sync(), /snapshot/);
    assert.deepEqual(old.texts, []);
  });
});
