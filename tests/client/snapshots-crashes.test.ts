/** A device that crashes at any access to its disk, while a snapshot is made, loaded or kept. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { Identity } from "../../client/index.ts";
import { newIdentity } from "../support/private-keys.ts";
import type { Device } from "../support/simulated-device.ts";
import { assertHave, few, many, SnapshotStage, write } from "../support/snapshot-stage.ts";

let made: Promise<Identity> | undefined;

/** Syncs, also after crashes. */
async function syncAtLast(device: Device): Promise<void> {
  while (!(await device.sync())) await device.stop();
}

describe("a crash of a device", () => {
  let stage: SnapshotStage;
  afterEach(async () => {
    for (const device of stage.devices) await device.stop();
  });

  /**
   * Runs a part of a device's life again and again, with a crash after more and more accesses to its
   * disk until there are none, and asserts that all devices have everything then.
   *
   * @param isDone whether a device that did not crash has done what this is about
   */
  const everywhere = async (
    prepare: () => Promise<Device>,
    part: (device: Device) => Promise<unknown>,
    isDone: (device: Device) => boolean | Promise<boolean>,
  ) => {
    made ??= newIdentity();
    let crashes = -1;
    for (let steps = 0; ; steps++) {
      stage = new SnapshotStage(await made, {});
      const device = await prepare();
      await device.crashAfter(steps);
      await part(device).catch((error: unknown) => assert.match(String(error), /Crashed/));
      await syncAtLast(device);
      const isOver = device.crashes === 0;
      if (isOver) assert.ok(await isDone(device));
      crashes++;
      const later = stage.device();
      for (let times = 0; times < 2; times++) {
        for (const one of stage.devices) await syncAtLast(one);
      }
      // What an append had not returned for can be there or not, and is so everywhere.
      for (const text of stage.devices.flatMap(({ appended }) => appended)) {
        assert.ok(later.texts.includes(text), `${text.slice(0, 20)} is lost`);
      }
      assertHave(stage.devices, later.texts);
      for (const one of stage.devices) await one.stop();
      if (isOver) break;
    }
    assert.ok(crashes > 1, `${crashes} crashes`);
  };

  it("loses nothing where it makes a snapshot", async () => {
    await everywhere(
      async () => {
        const laptop = stage.device();
        await write(laptop, few("note", 4));
        assert.equal(laptop.snapshots.saved, 0);
        return laptop;
      },
      async (laptop) => {
        await laptop.append(many("one more", 2));
        await laptop.sync();
        await laptop.append(["later"]);
      },
      ({ snapshots }) => snapshots.saved === 1,
    );
  });

  it("loses nothing where it loads one, with what it has not sent", async () => {
    await everywhere(
      async () => {
        const [laptop, phone] = [stage.device(), stage.device()];
        await write(phone, ["of the phone"]);
        await write(laptop, many("note", 15));
        await stage.trim(laptop);
        return phone;
      },
      async (phone) => {
        await phone.append(["not sent"]);
        await phone.sync();
      },
      ({ snapshots }) => snapshots.loaded === 1,
    );
  });

  it("loses nothing where it keeps one in the place of what it has", async () => {
    await everywhere(
      async () => {
        const [laptop, phone] = [stage.device(), stage.device(Infinity)];
        await write(laptop, few("note", 4));
        assert.ok(await phone.sync());
        await write(laptop, few("more", 2));
        assert.equal(laptop.snapshots.saved, 1);
        return phone;
      },
      (phone) => phone.sync(),
      async (phone) => (await phone.kept()).snapshot,
    );
  });
});
