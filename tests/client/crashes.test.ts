/** A device that crashes at every step, while it appends and sends. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import type { Identity } from "../../client/index.ts";
import { newIdentity } from "../support/private-keys.ts";
import { Device } from "../support/simulated-device.ts";
import { JumpingClock, nextTick, SimulatedServer } from "../support/simulated-network.ts";

/** More accesses to its disk than the device makes. */
const STEPS = 80;

describe("a device that appends while an operation is on its way", () => {
  let identity: Identity;
  before(async () => {
    identity = await newIdentity();
  });

  it("loses no entry, sends none twice and names none anew, whenever it crashes", async () => {
    const crashes: number[] = [];
    for (let step = 0; step < STEPS; step++) {
      const server = new SimulatedServer({ LISTING_TTL: "0" });
      const fetch = async (request: Request) => {
        for (let turns = 0; turns < 5; turns++) await nextTick();
        return server.fetch(request);
      };
      const world = { identity, clock: new JumpingClock(), fetch, random: () => 0.5 };
      const [device, other] = [new Device(world), new Device(world)];
      try {
        await other.append(["of the other"]);
        await other.sync();
        const all: string[] = [];
        const append = (...texts: string[]) => {
          all.push(...texts);
          return device.append(texts);
        };
        await device.crashAfter(step);
        await append("a");
        await Promise.all([append("b"), append("c", "d"), append("e"), device.sync()]);
        await Promise.all([append("f"), append("g"), device.sync()]);
        await device.stop();
        crashes.push(device.crashes);
        await append("h");
        assert.ok(await device.sync());
        assert.ok(await other.sync());
        const held = await device.held();
        assert.deepEqual(await other.held(), held);
        assert.equal(new Set(held).size, held.length, `each once, ${step}`);
        for (const text of device.appended) assert.ok(held.includes(text), `${text}, ${step}`);
        for (const text of held) assert.ok([...all, "of the other"].includes(text));
        for (const one of [device, other]) {
          await one.checkEntries();
          assert.deepEqual([one.refusals, one.changes], [[], []]);
        }
      } finally {
        for (const one of [device, other]) await one.stop();
      }
    }
    assert.ok(crashes.filter((count) => count === 1).length > 5, crashes.join());
    assert.equal(crashes.at(-1), 0, "it has crashed at its last step as well");
  });
});
