/** Snapshots for which there is no room, on the server or on the device: nothing else is held up. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { newIdentity } from "../support/private-keys.ts";
import { assertHave, HOUR, many, SnapshotStage, write } from "../support/snapshot-stage.ts";
import { problem } from "../support/sync-app.ts";

describe("snapshots for which there is no room", () => {
  let stage: SnapshotStage;
  const begin = async (settings: Record<string, string> = {}) => {
    stage = new SnapshotStage(await newIdentity(), settings);
  };
  afterEach(async () => {
    for (const device of stage.devices) await device.stop();
  });

  it("within the user's quota are left out, and what is smaller is sent", async () => {
    // A first signed request doubles it.
    await begin({ QUOTA_BYTES: "70KiB" });
    const [laptop, phone] = [stage.device(), stage.device(Infinity)];
    const texts = [`large ${"x".repeat(60_000)}`, ...many("note", 8)];
    await write(laptop, texts);
    assert.equal(stage.statuses.filter((status) => status === 507).length, 1);
    assert.equal(laptop.snapshots.saved, 1);
    assert.deepEqual(await laptop.tooLarge(), []);
    assert.ok(await phone.sync());
    assertHave([laptop, phone], texts);
  });

  it("are stored once there is room, and no other one is made until then", async () => {
    await begin();
    const [laptop, phone] = [stage.device(), stage.device(Infinity)];
    stage.refuse = ({ snapshot }) =>
      snapshot === undefined ? undefined : problem(507, "quota-exceeded", { quota: 1, used: 1 });
    const texts = many("note", 18);
    await write(laptop, texts.slice(0, 16));
    stage.clock.pass(HOUR);
    await write(laptop, texts.slice(16));
    const sent = () => stage.requests.filter(({ snapshot }) => snapshot !== undefined);
    assert.equal(sent().length, 2, "it is sent again after an hour");
    assert.equal(laptop.snapshots.saved, 1);
    stage.refuse = () => undefined;
    stage.clock.pass(HOUR);
    assert.ok(await laptop.sync());
    assert.ok(sent()[2]?.payload === sent()[1]?.payload);
    assert.ok(await phone.sync());
    assert.equal(phone.snapshots.loaded, 1);
    assertHave([laptop, phone], texts);
  });

  it("on the device are reported once an hour, and what is smaller is stored and sent", async () => {
    await begin();
    const [laptop, phone] = [stage.device(), stage.device(Infinity)];
    laptop.room = 4000;
    const texts = many("note", 40);
    for (const text of texts) {
      await laptop.append([text]);
      await laptop.sync().catch((error: unknown) => assert.match(String(error), /disk is full/));
    }
    assert.equal(laptop.full, 1);
    stage.clock.pass(HOUR);
    await assert.rejects(laptop.sync(), /disk is full/);
    assert.equal(laptop.full, 2);
    laptop.room = Infinity;
    assert.ok(await laptop.sync());
    assert.equal(laptop.snapshots.saved, 2);
    stage.clock.pass(HOUR);
    assert.ok(await laptop.sync());
    assert.ok(await phone.sync());
    assert.equal(phone.snapshots.loaded, 1);
    assertHave([laptop, phone], texts);
  });

  it("are made again where the clock is set back", async () => {
    await begin();
    const laptop = stage.device();
    laptop.room = 4000;
    for (const text of many("note")) {
      await laptop.append([text]);
      await laptop.sync().catch((error: unknown) => assert.match(String(error), /disk is full/));
    }
    assert.equal(laptop.full, 1);
    laptop.room = Infinity;
    stage.clock.pass(-365 * 24 * HOUR);
    assert.ok(await laptop.sync());
    assert.equal(laptop.snapshots.saved, 2);
  });
});
