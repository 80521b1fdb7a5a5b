/** Tabs that share one log while snapshots take the place of it: each has everything once, in order. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Identity } from "../../client/index.ts";
import { newIdentity } from "../support/private-keys.ts";
import { Browser, NEVER } from "../support/simulated-browser.ts";
import { simulateSnapshotTabs } from "../support/snapshot-tabs-simulation.ts";

/** Texts whose operations have more characters than `EVERY`. */
function many(name: string, count = 30): string[] {
  return Array.from({ length: count }, (_, i) => `${name} ${i} ${"x".repeat(300)}`);
}

let made: Promise<Identity> | undefined;

function identity(): Promise<Identity> {
  made ??= newIdentity();
  return made;
}

for (const kept of ["nothing", "data", "cursors"] as const) {
  describe(`tabs whose apps keep ${kept}`, () => {
    let world: Browser;
    beforeEach(async () => {
      world = new Browser(await identity(), kept);
    });
    afterEach(() => world.close());

    it("are given the snapshot with which the leading one begins", async () => {
      await world.appendOnPhone(many("phone"));
      await world.trim();
      const [leading, other] = [await world.open(), await world.open()];
      await leading.client.sync();
      await other.client.sync();
      assert.equal(world.snapshots.loaded, 2);
      await world.append(other, ["of the other one"]);
      await world.sync();
      world.check();
    });

    it("are given a snapshot where they lack what the leading one has trimmed", async () => {
      const leading = await world.open();
      await world.append(leading, ["tab 0"]);
      let release: () => void = () => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      const other = await world.open();
      await world.sync();
      world.onReceive = (tab) => (tab === other.store ? held : undefined);
      for (const text of many("phone", 60)) {
        await world.appendOnPhone([text]);
        await leading.client.sync();
      }
      const { starts } = await world.place.memory.load();
      assert.equal(starts.length, 1, "something is trimmed");
      release();
      await world.sync();
      world.check();
      assert.ok(world.snapshots.loaded > 0);
    });

    it("are given everything where the leading one crashes as it loads a snapshot", async () => {
      await world.appendOnPhone(many("phone"));
      await world.trim();
      const leading = await world.open();
      const other = await world.open();
      const crashed = new Promise<void>((resolve) => {
        world.onLoad = (tab) => {
          if (tab !== leading.store) return;
          world.crash(leading);
          resolve();
        };
      });
      leading.client.sync().catch(() => undefined);
      await crashed;
      await world.appendOnPhone(["phone later"]);
      await other.client.sync();
      const again = await world.open();
      await again.client.sync();
      await world.sync();
      world.check();
    });
  });
}

describe("a tab that cannot take what follows a snapshot, and crashes", () => {
  it("is given the snapshot again, where the store remembers what was delivered", async () => {
    const world = new Browser(await identity(), "data");
    try {
      const tablet = world.device(NEVER);
      const write = (text: string) => world.appendOn(tablet, [text]);
      await world.open();
      const other = await world.open();
      await world.appendOnPhone(["phone 0"]);
      await world.sync();
      await write("tablet 0");
      await world.sync();
      let isFirst = true;
      world.onSnapshot = async () => {
        if (!isFirst) return;
        isFirst = false;
        // The other tab has more of the tablet than the snapshot stands for, and less of the phone.
        await write("tablet 1");
        for (const { client } of world.tabs) await client.sync();
        world.crash(other);
      };
      for (const text of many("phone", 40)) if (isFirst) await world.appendOnPhone([text]);
      assert.ok(!isFirst, "a snapshot was made");
      await world.sync();
      await world.appendOnPhone(["phone last"]);
      await world.sync();
      let fails = true;
      world.onReceive = (_, texts) => {
        if (texts.includes("tablet 1") && fails) throw new Error("the app fails");
      };
      const failing = await world.open();
      await assert.rejects(failing.client.sync(), /the app fails/);
      world.crash(failing);
      fails = false;
      await world.open();
      await world.sync();
      assert.ok(world.snapshots.loaded > 0);
      world.check();
    } finally {
      await world.close();
    }
  });
});

describe("a tab that has the server send again what another one has put a snapshot in the place of", () => {
  it("does not let that one refuse what the server was asked for before", async () => {
    const world = new Browser(await identity(), "nothing");
    try {
      const tablet = world.device(NEVER);
      const write = (text: string) => world.appendOn(tablet, [text]);
      const leading = await world.open();
      await write("tablet 0");
      for (const text of many("phone", 40)) {
        await world.appendOnPhone([text]);
        await leading.client.sync();
      }
      const { starts } = await world.place.memory.load();
      assert.equal(starts.length, 2, "of both devices, something is trimmed");
      await write("tablet 1");
      await world.appendOnPhone(["phone later"]);
      let opening: Promise<unknown> | undefined;
      world.onReceive = async (tab) => {
        if (tab !== leading.store) return;
        // Its app takes no snapshots: it needs all operations, of both devices.
        opening ??= world.open(false).then((other) => world.crash(other));
        await opening;
      };
      await leading.client.sync();
      assert.ok(opening !== undefined);
      await world.sync();
      world.check();
    } finally {
      await world.close();
    }
  });
});

describe("a tab that reads a snapshot while another one puts the next one in its place", () => {
  for (const when of ["before", "after"]) {
    it(`is given the next one, which stays, where that comes ${when} what is read`, async () => {
      const world = new Browser(await identity(), "nothing");
      try {
        const leading = await world.open();
        const write = async (texts: readonly string[]) => {
          for (const text of texts) {
            await world.appendOnPhone([text]);
            await leading.client.sync();
          }
          return (await world.place.memory.load()).snapshot;
        };
        const first = await write(many("phone"));
        assert.ok(first !== undefined);
        const { memory } = world.place;
        const keep = memory.keepSnapshot.bind(memory);
        let dropped = 0;
        memory.keepSnapshot = async (snapshot, isLoaded) => {
          if (snapshot === undefined) dropped++;
          await keep(snapshot, isLoaded);
        };
        let next = first;
        world.place.onReadSnapshot = async (read) => {
          if (next !== first) return read();
          const payload = await read();
          next = (await write(many("phone later", 60))) ?? first;
          return when === "before" ? read() : payload;
        };
        await world.open();
        await world.sync();
        assert.ok(next.index > first.index, "it has another one in its place");
        assert.equal(dropped, 0, "none is dropped");
        world.check();
      } finally {
        await world.close();
      }
    });
  }
});

describe("tabs that make and take snapshots, in a simulation", () => {
  for (let seed = 1; seed <= 8; seed++) {
    it(`have each entry once, and lose none, with the seed ${seed}`, async () => {
      await simulateSnapshotTabs(seed);
    });
  }

  it("do the same again with the same seed", async () => {
    assert.equal(await simulateSnapshotTabs(4), await simulateSnapshotTabs(4));
  });
});
