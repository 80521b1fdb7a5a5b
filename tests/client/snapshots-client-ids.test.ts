/** Snapshots, and operations that go on under another client id: each is there once, and none is lost. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { newIdentity } from "../support/private-keys.ts";
import type { Device } from "../support/simulated-device.ts";
import { nextTick } from "../support/simulated-network.ts";
import { assertHave, HOUR, many, SnapshotStage, write } from "../support/snapshot-stage.ts";
import { problem } from "../support/sync-app.ts";

describe("snapshots, and operations that go on under another client id", () => {
  let stage: SnapshotStage;
  beforeEach(async () => {
    stage = new SnapshotStage(await newIdentity(), {});
  });
  afterEach(async () => {
    for (const device of stage.devices) await device.stop();
  });

  /** Appends on a device that does not reach the server, and ends. */
  const appendOffline = async (device: Device, texts: readonly string[]) => {
    stage.refuse = () => new Response(null, { status: 503 });
    await device.append(texts);
    await device.stop();
    stage.refuse = () => undefined;
  };

  /**
   * The server refuses what a client id sends next, under an index, and shows garbage there, until the
   * device has taken another client id.
   */
  const replace = (device: Device, client: string | undefined, index: number) => {
    const isOver = () => device.changes.length > 0;
    stage.refuse = ({ client_id, operation_index, payload }) => {
      const isIts = client_id === client && operation_index === index && payload !== undefined;
      if (!isIts || isOver()) return undefined;
      return problem(409, "operation-conflict", { operation_index: index });
    };
    stage.alter = (lines) => {
      if (isOver() || stage.requests.at(-1)?.client_id !== client) return;
      const at = lines.findLastIndex((line) => line.client_id === client);
      const line = { client_id: client ?? "", operation_index: index, payload: "AAAA" };
      const isThere = lines[at]?.operation_index === index;
      lines.splice(isThere ? at : at + 1, isThere ? 1 : 0, line);
    };
  };

  it("stand as well for the copies under a client id that continues the one that they stand for", async () => {
    const [laptop, phone] = [stage.device(), stage.device(Infinity)];
    await write(phone, ["before"]);
    stage.lose = true;
    const answered = stage.statuses.length;
    await phone.append(["of the phone"]);
    while (stage.statuses.length === answered) await nextTick();
    await phone.stop();
    stage.lose = false;
    assert.ok(await laptop.sync());
    const texts = many("note", 15);
    await write(laptop, texts);
    const client = phone.created.get("before")?.client;
    replace(phone, client, 1);
    assert.ok(await phone.sync());
    assert.equal(phone.changes.length, 1);
    assert.equal(phone.snapshots.loaded, 1);
    assert.ok(await laptop.sync());
    assertHave([laptop, phone], ["before", "of the phone", ...texts]);
  });

  it("are operations like any other under the new client id", async () => {
    const laptop = stage.device();
    const texts = many("note", 30);
    const isSent = () => stage.requests.some(({ snapshot }) => snapshot !== undefined);
    stage.refuse = ({ snapshot }) =>
      snapshot === undefined ? undefined : new Response(null, { status: 503 });
    for (const text of texts) {
      await laptop.append([text]);
      const synced = laptop.sync();
      while (!isSent() && (await Promise.race([synced, nextTick()])) !== true);
      if (isSent()) break;
    }
    await laptop.stop();
    const { client_id: from, operation_index: index } =
      stage.requests.findLast(({ snapshot }) => snapshot !== undefined) ?? assert.fail();
    replace(laptop, String(from), Number(index));
    assert.ok(await laptop.sync());
    const [change] = laptop.changes;
    assert.ok(change !== undefined && change.first === index && change.count === 1);
    const first = stage.requests.find(({ client_id }) => client_id === change.to);
    assert.equal(first?.operation_index, 0);
    assert.equal(first?.snapshot, undefined);
    const [phone] = [stage.device(Infinity)];
    assert.ok(await phone.sync());
    assertHave([laptop, phone], laptop.appended);
  });

  it("are taken before the device finds out under which index its client id is in use twice", async () => {
    const [laptop, copy, phone] = [stage.device(Infinity), stage.device(Infinity), stage.device()];
    await write(laptop, ["before"]);
    await copy.copy(laptop);
    await appendOffline(copy, ["of the copy"]);
    assert.ok(await phone.sync());
    const texts = many("of the phone", 60);
    await write(phone, texts);
    await stage.trim(phone);
    const later = ["of the laptop", "also of the laptop"];
    await write(laptop, later);
    assert.ok(await copy.sync());
    assert.equal(copy.changes.length, 1);
    assert.equal(copy.snapshots.loaded, 1);
    for (const device of [laptop, phone]) assert.ok(await device.sync());
    assertHave([laptop, copy, phone], ["before", "of the copy", ...later, ...texts]);
  });

  it("have a client id given up once, where the server has deleted what others wrote as well", async () => {
    const [laptop, copy, phone] = [stage.device(), stage.device(Infinity), stage.device()];
    await write(laptop, ["before"]);
    await copy.copy(laptop);
    await appendOffline(copy, ["of the copy"]);
    const texts = [...many("of the laptop", 30), ...many("of the phone", 30)];
    await write(laptop, texts.slice(0, 30));
    await write(phone, texts.slice(30));
    await stage.trim(phone);
    assert.ok(await copy.sync());
    assert.equal(copy.changes.length, 1);
    for (const device of [laptop, phone]) assert.ok(await device.sync());
    assertHave([laptop, copy, phone], ["before", "of the copy", ...texts]);
  });

  it("are taken where a device sends again what it created under an id that another one goes on with", async () => {
    const [laptop, copy, phone] = [stage.device(), stage.device(Infinity), stage.device(Infinity)];
    await write(laptop, ["before"]);
    await copy.copy(laptop);
    await write(laptop, ["of the laptop"]);
    assert.ok(await copy.sync());
    assert.equal(copy.changes.length, 1);
    await copy.stop();
    await write(phone, ["of the phone"]);
    const texts = many("of the laptop", 15);
    await write(laptop, texts);
    assert.equal(laptop.snapshots.saved, 1);
    await write(phone, ["later"]);
    assert.ok(await copy.sync());
    assert.equal(copy.snapshots.loaded, 1);
    for (const device of [laptop, phone]) assert.ok(await device.sync());
    const all = ["before", "of the laptop", "of the phone", ...texts, "later"];
    assertHave([laptop, copy, phone], all);
  });

  it("that stand for more than was created end the use of a client id, before anything else is asked", async () => {
    const [laptop, copy] = [stage.device(), stage.device(Infinity)];
    await write(laptop, ["before"]);
    await copy.copy(laptop);
    const texts = many("of the laptop", 60);
    await write(laptop, texts);
    await stage.trim(laptop);
    const client = laptop.created.get("before")?.client;
    const before = stage.requests.length;
    assert.ok(await copy.sync());
    const asked = stage.requests.slice(before).filter(({ payload }) => payload === undefined);
    assert.ok(asked.length > 0 && asked.every(({ client_id }) => client_id !== client));
    assertHave([laptop, copy], ["before", ...texts]);
  });

  it("are not kept where they stand for another operation than the device has yet to send", async () => {
    const [laptop, copy, phone] = [stage.device(Infinity), stage.device(Infinity), stage.device()];
    await write(laptop, ["before"]);
    await copy.copy(laptop);
    await write(laptop, ["of the laptop"]);
    const client = laptop.created.get("before")?.client;
    // The copy is not shown what comes under its client id, and there is no room for what it sends.
    stage.refuse = ({ payload }) =>
      isOfCopy() && payload !== undefined ? problem(507, "quota-exceeded") : undefined;
    stage.alter = (lines) => {
      const shown = lines.filter(({ client_id }) => !isOfCopy() || client_id !== client);
      lines.splice(0, lines.length, ...shown);
    };
    let syncing: Device = phone;
    const isOfCopy = () => syncing === copy;
    const texts = many("of the phone");
    for (const text of texts) {
      syncing = phone;
      await write(phone, [text]);
      syncing = copy;
      if (text === texts[0]) await copy.append(["of the copy"]);
      await assert.rejects(copy.sync(), /So it is\./);
    }
    assert.ok(phone.snapshots.saved > 0);
    assert.equal((await copy.kept()).snapshot, false);
    stage.refuse = () => undefined;
    stage.alter = () => undefined;
    assert.ok(await copy.sync());
    await copy.forgetData();
    for (const device of [copy, laptop, phone]) assert.ok(await device.sync());
    assertHave([laptop, copy, phone], ["before", "of the laptop", "of the copy", ...texts]);
  });

  it("leave to the app what is too large for the server, where they stand for another one in its place", async () => {
    const [laptop, copy, phone] = [stage.device(Infinity), stage.device(), stage.device()];
    // Under the first index of all.
    assert.ok(await laptop.sync());
    await copy.copy(laptop);
    const large = `large ${"x".repeat(9000)}`;
    stage.refuse = ({ payload, snapshot }) =>
      snapshot === undefined && String(payload).length > 9000
        ? problem(413, "body-too-large")
        : undefined;
    await laptop.append([large]);
    await assert.rejects(laptop.sync(), /So it is\./);
    assert.equal((await laptop.tooLarge()).length, 1);
    const texts = many("of the copy", 60);
    await write(copy, texts);
    await stage.trim(copy);
    await laptop.sync().catch(() => undefined);
    assert.ok(laptop.texts.includes(large));
    assert.equal((await laptop.tooLarge()).length, 1);
    stage.refuse = () => undefined;
    stage.clock.pass(HOUR);
    assert.ok(await laptop.sync());
    for (const device of [copy, phone]) assert.ok(await device.sync());
    assertHave([laptop, copy, phone], [large, ...texts]);
    assert.deepEqual(await laptop.tooLarge(), []);
  });
});
