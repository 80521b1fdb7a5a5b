/** What a device says of the others: how far it has them, since when, and what they have of it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FolderStore } from "../../client/folder.ts";
import type { Cursor } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { temporaryFolder } from "../support/folder.ts";
import { HOUR, MINUTE, Stage } from "../support/stage.ts";
import { useApps } from "../support/sync-app.ts";

const apps = useApps();

describe("the other devices", () => {
  it("are none at first, and then those of which something came, with the time", async () => {
    const stage = new Stage(apps);
    const [writer, silent, reader] = await stage.openAll(3);
    assert.ok(writer && silent && reader);
    await reader.sync();
    assert.deepEqual(reader.client.devices, []);
    await writer.write("a0");
    await stage.pass(MINUTE);
    await reader.sync();
    const first = { client: writer.id, index: 0, heardAt: stage.clock.now(), seen: undefined };
    assert.deepEqual(reader.client.devices, [first], "when it came, and not when it was made");
    await stage.pass(2 * HOUR);
    await reader.sync();
    assert.deepEqual(reader.client.devices, [first], "what is shown once more is no news");
    await writer.write("a1");
    await reader.sync();
    const second = { ...first, index: 1, heardAt: stage.clock.now() };
    assert.deepEqual(reader.client.devices, [second]);
  });

  it("say how much they have received of this one", async () => {
    const stage = new Stage(apps);
    const [reader, other] = await stage.openAll(2);
    assert.ok(reader && other);
    const seen = () => reader.client.devices[0]?.seen;
    await reader.write("mine 0");
    await other.write("b0");
    await reader.sync();
    assert.equal(seen(), undefined);
    await other.sync();
    await reader.write("mine 1");
    await other.write("b1");
    await reader.sync();
    assert.equal(seen(), 0);
    await other.write("b2");
    await reader.sync();
    assert.equal(seen(), 1);
    await other.write("b3, which says nothing of it");
    await reader.sync();
    assert.equal(seen(), 1);
  });

  it("are known after a restart as before it, from a store in a folder", async () => {
    const folder = temporaryFolder();
    try {
      const stage = new Stage(apps);
      const open = () => FolderStore.open(folder.path, stage.identity);
      const [reader, other] = [await stage.open({ store: await open() }), await stage.open()];
      await reader.write("mine");
      await other.sync();
      await other.write("b0");
      await reader.sync();
      const known = reader.client.devices;
      assert.deepEqual(known, [
        { client: other.id, index: 0, heardAt: stage.clock.now(), seen: 0 },
      ]);
      await stage.pass(HOUR);
      await reader.client.close();
      await stage.restart(reader, { store: await open() });
      assert.deepEqual(reader.client.devices, known);
    } finally {
      folder.remove();
    }
  });

  it("are known from the cursors of an app", async () => {
    const stage = new Stage(apps);
    const other = await stage.open();
    const cursors: Cursor[] = [];
    const reader = await stage.open({ receive: (_, cursor) => void cursors.push(cursor) });
    await other.write("b0");
    await reader.sync();
    const known = reader.client.devices;
    assert.equal(known[0]?.heardAt, stage.clock.now());
    await stage.pass(HOUR);
    await stage.restart(reader, { store: new MemoryStore(), cursors });
    assert.deepEqual(reader.client.devices, known);
  });

  it("are heard of once a day, also where nothing is written", async () => {
    const stage = new Stage(apps);
    const [other, reader] = await stage.openAll(2);
    assert.ok(other && reader);
    await other.write("b0");
    await reader.sync();
    await stage.pass(24 * HOUR);
    await other.sync();
    await reader.sync();
    const heard = { client: other.id, index: 1, heardAt: stage.clock.now(), seen: undefined };
    assert.deepEqual(reader.client.devices, [heard]);
  });

  it("are not those that go on under another client id", async () => {
    const stage = new Stage(apps);
    const [other, reader] = await stage.openAll(2);
    assert.ok(other && reader);
    const { id } = other;
    await other.write("b0");
    await reader.sync();
    await stage.put([{ client: id, index: 1, payload: "garbage" }]);
    await other.write("b1");
    assert.notEqual(other.id, id);
    await reader.sync();
    assert.deepEqual(
      reader.client.devices.map(({ client, index }) => [client, index]),
      [[other.id, 0]],
    );
  });
});
