/** `sync-server copy`: what is copied, what is not, and what of it is said. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { WrongArgument } from "../../commands/command.ts";
import { copy } from "../../commands/copy/copy.ts";
import { Pace } from "../../commands/copy/pace.ts";
import {
  type Fingerprint,
  formatFloor,
  formatMarker,
  formatSnapshot,
  parseSnapshot,
} from "../../oplog/names.ts";
import { type Driver, md5Of } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { openStorage, openToRead, overlap } from "../../storage/open.ts";
import { jsonOf, onEachStorage, runCommand } from "../support/commands.ts";
import { contentsOf, copyBetween } from "../support/copies.ts";
import { HookedDriver } from "../support/drivers.ts";
import { temporaryFolder } from "../support/folder.ts";
import { processOn, storeEach, storeRun } from "../support/logs.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const NOTHING = new Uint8Array();
const AT = 1_800_000_000;
const shared = temporaryFolder();
after(() => shared.remove());

/** A user with operations, a segment, a lock, a floor and a snapshot. */
async function storeUser(storage: Driver): Promise<{ user: Fingerprint; client: string }> {
  const [user, client] = [someFingerprint(), newClient()];
  await storeEach(storage, user, client, ["one", "two", "three"]);
  await storeRun(storage, user, client, 3, "four", "x".repeat(70_000));
  await storage.put(formatMarker({ kind: "signed", user }), NOTHING);
  await storage.put(formatFloor({ user, client, index: 0, at: AT }), NOTHING);
  const covers = new TextEncoder().encode(`{"${client}":1}`);
  const snapshot = { user, at: AT, client, index: 2, md5: md5Of(covers) };
  await storage.put(formatSnapshot(snapshot), covers);
  return { user, client };
}

const erase = (storage: Driver, user: Fingerprint) =>
  storage.put(formatMarker({ kind: "erased", user, at: AT }), NOTHING);

onEachStorage("copy", ({ newPlace, open }) => {
  it("copies all that there is to a folder and back, and only what is new the next time", async () => {
    const [place, back] = [newPlace(), newPlace()];
    const folder = join(shared.path, newClient());
    const storage = await open(place);
    const { user, client } = await storeUser(storage);
    await storeUser(storage);
    await storage.put(`${user}.of-another-version`, new TextEncoder().encode("?"));
    await storage.put("README.txt", new TextEncoder().encode("read me"));
    const args = { from: place, to: folder };
    const first = await copyPlaces(args, { "read-back": "" });
    assert.equal(first.code, 0, first.text);
    assert.equal(first.copied.objects, 16);
    assert.equal(first.copied.present, 0);
    await storeRun(storage, user, client, 5, "six");
    const second = await copyPlaces(args, { user });
    assert.equal(second.copied.objects, 1, second.text);
    assert.equal(second.copied.present, 8);
    assert.equal((await copyPlaces({ from: folder, to: back })).code, 0);
    const restored = await open(back);
    assert.deepEqual(await contentsOf(restored), await contentsOf(storage));
    await Promise.all([storage.close(), restored.close()]);
  });

  it("keeps in a folder when each object was stored", async () => {
    const [place, folder] = [newPlace(), join(shared.path, newClient())];
    const storage = await open(place);
    await storeUser(storage);
    assert.equal((await copyPlaces({ from: place, to: folder })).code, 0);
    const copied = await openToRead(folder, () => undefined);
    const times = await storage.list("", true);
    assert.ok(times.every(({ storedAt }) => storedAt !== undefined));
    assert.deepEqual(await copied.list("", true), times);
    await Promise.all([storage.close(), copied.close()]);
  });

  it("has every operation that was there before, though all is packed and deleted meanwhile", async () => {
    const storage = await open(newPlace());
    const [user, client] = [someFingerprint(), newClient()];
    const payloads = Array.from({ length: 30 }, (_, i) => `payload ${i}`);
    await storeEach(storage, user, client, payloads);
    const server = processOn(storage, 0);
    const source = new HookedDriver(storage);
    let packed = 0;
    source.before = async ({ kind }) => {
      if (kind !== "get" || ++packed % 5 !== 0) return;
      await server.log.append(user, client, payloads.length, ["another"]);
      payloads.push("another");
      await server.compactor.compact(user);
    };
    const target = new MemoryDriver();
    const { findings } = await copyBetween(source, target, { parallel: 2, user });
    assert.deepEqual(findings, []);
    assert.ok(server.telemetry.value("compaction", "deleted") >= 29);
    const { count } = await processOn(target, 0).log.read(user, new Map());
    assert.ok(count >= 30, `${count} operations`);
    await server.compactor.stop();
    await storage.close();
  });
});

/** Runs the command between two places. */
async function copyPlaces(
  { from, to }: { readonly from: string; readonly to: string },
  given: Readonly<Record<string, string>> = {},
) {
  const { code, objects } = await jsonOf(copy, from, given, [from, to]);
  const copied: Record<string, unknown> = Object(objects.at(-1)?.copied);
  return { code, copied, text: JSON.stringify(objects) };
}

describe("copy", () => {
  it("T-27: keeps of erased users the tombstone alone, and brings none back", async () => {
    const storage = new MemoryDriver();
    const [gone, left] = [await storeUser(storage), await storeUser(storage)];
    const other = new MemoryDriver();
    assert.deepEqual((await copyBetween(storage, other)).findings, []);
    await erase(storage, gone.user);
    await erase(other, left.user);
    const namesOf = async (driver: Driver, user: string) =>
      (await driver.list(`${user}.`)).map(({ name }) => name);
    const before = await namesOf(other, left.user);
    const { counts } = await copyBetween(storage, other);
    const tombstone = formatMarker({ kind: "erased", user: gone.user, at: AT });
    assert.deepEqual(await namesOf(other, gone.user), [tombstone]);
    assert.deepEqual([counts.erased, counts.leftOut, counts.objects], [1, 1, 1]);
    assert.deepEqual(await namesOf(other, left.user), before, "an erased user stays erased");
    const empty = new MemoryDriver();
    await erase(empty, left.user);
    await copyBetween(storage, empty);
    assert.equal((await namesOf(empty, left.user)).length, 1);
  });

  it("stores what closes a user first and snapshots last, so that a part of a copy says nothing untrue", async () => {
    const source = new MemoryDriver();
    for (let users = 0; users < 3; users++) await storeUser(source);
    const target = new HookedDriver(new MemoryDriver());
    await copyBetween(source, target, { parallel: 1, readBack: false });
    const puts = target.calls.filter(({ kind }) => kind === "put").map(({ name }) => name);
    assert.equal(puts.length, 21);
    for (const user of new Set(puts.map((name) => name.slice(0, 43)))) {
      const own = puts.filter((name) => name.startsWith(user));
      assert.match(own[0] ?? "", /\.trimmed\./);
      assert.match(own[1] ?? "", /\.signed$/);
      assert.notEqual(parseSnapshot(own.at(-1) ?? ""), undefined);
    }
  });

  it("lists a user anew where operations are missing before others, until two lists agree", async () => {
    const source = new MemoryDriver();
    const [user, client] = [someFingerprint(), newClient()];
    await storeEach(source, user, client, ["one", "two", "three"]);
    const late = (await source.list(""))[1]?.name ?? "";
    const body = await source.get(late);
    await source.delete(late);
    const hooked = new HookedDriver(source);
    // A list that comes too early for one object and too late for another shows the same.
    hooked.before = async ({ name }) => {
      if (name === `${user}.`) await source.put(late, body);
    };
    const target = new MemoryDriver();
    await copyBetween(hooked, target);
    assert.deepEqual(await contentsOf(target), await contentsOf(source));
  });

  it("takes the tombstone of a user who is erased while the user's objects are copied", async () => {
    const source = new MemoryDriver();
    const { user } = await storeUser(source);
    const hooked = new HookedDriver(source);
    hooked.before = async ({ kind, name }) => {
      if (kind !== "get" || !name.includes(".0000000000000001.")) return;
      await erase(source, user);
      for (const object of await source.list("")) {
        if (!object.name.includes(".erased.")) await source.delete(object.name);
      }
    };
    const target = new MemoryDriver();
    const { findings, counts } = await copyBetween(hooked, target);
    assert.deepEqual(findings, []);
    assert.deepEqual(await contentsOf(target), await contentsOf(source));
    assert.equal(counts.erased, 1);
  });

  it("takes the floor of operations that are deleted while they are copied", async () => {
    const source = new MemoryDriver();
    const [user, client] = [someFingerprint(), newClient()];
    await storeEach(source, user, client, ["one", "two", "three"]);
    const floor = formatFloor({ user, client, index: 1, at: AT });
    const hooked = new HookedDriver(source);
    let isFirst = true;
    hooked.before = async ({ kind }) => {
      if (kind !== "get" || !isFirst) return;
      isFirst = false;
      await source.put(floor, NOTHING);
      for (const { name } of (await source.list("")).slice(0, 2)) await source.delete(name);
    };
    const target = new MemoryDriver();
    const { findings } = await copyBetween(hooked, target);
    assert.deepEqual(findings, []);
    assert.deepEqual(await contentsOf(target), await contentsOf(source));
  });

  it("copies with --since only what an earlier copy lacks; both together are the whole", async () => {
    const placeOf = (name: string) => join(shared.path, `since-${name}`);
    const [from, base] = [placeOf("from"), placeOf("base")];
    const [increment, restored] = [placeOf("increment"), placeOf("restored")];
    const storage = await openStorage(from);
    const { user, client } = await storeUser(storage);
    await copyPlaces({ from, to: base });
    await storeRun(storage, user, client, 5, "six");
    const { copied } = await copyPlaces({ from, to: increment }, { since: base });
    assert.deepEqual([copied.objects, copied.present], [1, 7]);
    await copyPlaces({ from: base, to: restored });
    await copyPlaces({ from: increment, to: restored });
    const whole = await openStorage(restored);
    assert.deepEqual(await contentsOf(whole), await contentsOf(storage));
    await Promise.all([storage.close(), whole.close()]);
  });

  it("copies with --user one user alone", async () => {
    const [source, target] = [new MemoryDriver(), new MemoryDriver()];
    const { user } = await storeUser(source);
    await storeUser(source);
    await copyBetween(source, target, { user });
    const stored = await target.list("");
    assert.equal(stored.length, 7);
    assert.ok(stored.every(({ name }) => name.startsWith(user)));
    const [from, to] = [join(shared.path, "few"), join(shared.path, "none")];
    await (await openStorage(from)).close();
    const given = { user: someFingerprint() };
    await assert.rejects(runCommand(copy, from, given, [from, to]), WrongArgument);
  });

  it("names what is damaged, leaves what the copy has of it, and copies all else", async () => {
    const [from, to] = [join(shared.path, "damaged"), join(shared.path, "whole")];
    const storage = await openStorage(from, undefined, { journal: false });
    const { user, client } = await storeUser(storage);
    await copyPlaces({ from, to });
    const [name = ""] = (await storage.list(`${user}.`)).map((object) => object.name);
    writeFileSync(join(from, user, name), "eno");
    await storeRun(storage, user, client, 5, "six");
    assert.equal((await copyPlaces({ from, to })).code, 0, "it need not be read");
    const other = join(shared.path, "other");
    const { code, lines } = await runCommand(copy, from, {}, [from, other]);
    assert.equal(code, 1);
    assert.match(lines[0] ?? "", /^damaged: operation 0 of client .* does not have the checksum/);
    assert.match(lines[1] ?? "", /^damaged: These were not copied/);
    assert.match(lines[2] ?? "", /^1 user, 7 objects copied .*, 0 there already: 1 damaged$/);
    const [whole, part] = [await openStorage(to), await openStorage(other)];
    assert.equal((await whole.get(name)).byteLength, 3);
    const { [name]: missing, ...rest } = await contentsOf(whole);
    assert.deepEqual(await contentsOf(part), rest);
    assert.equal(missing, md5Of(new TextEncoder().encode("one")));
    await Promise.all([storage.close(), whole.close(), part.close()]);
  });

  it("replaces what the copy has damaged where its size shows it", async () => {
    const [from, to] = [join(shared.path, "good"), join(shared.path, "cut")];
    const storage = await openStorage(from, undefined, { journal: false });
    const { user } = await storeUser(storage);
    await copyPlaces({ from, to });
    const [name = ""] = (await storage.list(`${user}.`)).map((object) => object.name);
    writeFileSync(join(to, user, name), "o");
    const { code, copied } = await copyPlaces({ from, to });
    assert.deepEqual([code, copied.objects], [0, 1]);
    const again = await openStorage(to);
    assert.deepEqual(await contentsOf(again), await contentsOf(storage));
    await Promise.all([storage.close(), again.close()]);
  });

  it("names what the target did not keep as it was stored", async () => {
    const source = new MemoryDriver();
    const { user, client } = await storeUser(source);
    const cheating = new (class extends MemoryDriver {
      override async put(name: string, body: Uint8Array): Promise<void> {
        if (name.includes(".0000000000000001.")) return;
        const isChanged = name.includes(".0000000000000002.");
        await super.put(name, isChanged ? body.map((byte) => byte ^ 1) : body);
      }
    })();
    const { findings } = await copyBetween(source, cheating);
    const lost = findings.map(({ kind, first }) => [kind, first]);
    assert.deepEqual(lost, [
      ["lost", 1],
      ["lost", 2],
      ["lost", undefined],
    ]);
    const blind = await copyBetween(source, cheating, { readBack: false });
    assert.deepEqual(
      blind.findings.map(({ first, what }) => [first, what.includes("is not listed")]),
      [[1, true]],
    );
    assert.equal(findings[0]?.client, client);
    assert.equal(findings[0]?.user, user);
  });

  it("names what is listed and never there", async () => {
    const source = new (class extends MemoryDriver {
      override get(name: string): Promise<Uint8Array> {
        return super.get(name.includes(".0000000000000001.") ? "nothing" : name);
      }
    })();
    await storeUser(source);
    const { findings, counts } = await copyBetween(source, new MemoryDriver());
    assert.deepEqual(
      findings.map(({ kind, first }) => [kind, first]),
      [["missing", 1]],
    );
    assert.equal(counts.objects, 6);
  });

  it("does not go on where a storage fails, and has copied what it counts", async () => {
    const source = new MemoryDriver();
    await storeUser(source);
    const target = new HookedDriver(new MemoryDriver());
    target.before = ({ kind }) => {
      if (kind === "put" && target.count("put") === 4) throw new Error("no room");
    };
    await assert.rejects(copyBetween(source, target, { parallel: 1 }), /no room/);
    target.before = () => undefined;
    const { counts } = await copyBetween(source, target);
    assert.deepEqual([counts.present, counts.objects], [3, 4]);
  });

  it("moves no more bytes a second than --rate says", async () => {
    let time = 0;
    const slept: number[] = [];
    const pace = new Pace({
      rate: 1000,
      now: () => time,
      sleep: async (ms) => void slept.push(ms),
    });
    for (const bytes of [500, 1000, 0]) await pace.take(bytes);
    assert.deepEqual(slept, [500, 1500]);
    time = 10_000;
    await pace.take(1);
    assert.deepEqual(slept, [500, 1500], "what was not used before is not made up for");
  });

  it("refuses places that overlap, and values that mean nothing", async () => {
    const place = join(shared.path, "place");
    const wrong: [string[], Record<string, string>, RegExp][] = [
      [[place], {}, /two storages/],
      [[place, place], {}, /have to lie apart/],
      [[place, join(place, "backup")], {}, /have to lie apart/],
      [["s3://bucket/a/", "s3://bucket/a"], {}, /have to lie apart/],
      [[place, "ftp://host"], {}, /is not the path/],
      [[place, "memory:"], {}, /keeps nothing/],
      [[place, `${place}2`], { since: `${place}2` }, /another storage than TO/],
      [[place, `${place}2`], { rate: "fast" }, /--rate takes/],
      [[place, `${place}2`], { parallel: "0" }, /--parallel takes/],
    ];
    for (const [places, given, message] of wrong) {
      await assert.rejects(
        runCommand(copy, place, given, places),
        (error) => error instanceof WrongArgument && message.test(error.message),
      );
    }
    assert.ok(!overlap("./a", "./ab") && !overlap("s3://b/x", "s3://b/xy"));
  });

  it("takes no folder that is not there for empty, and makes none then", async () => {
    const [missing, to] = [join(shared.path, "missing"), join(shared.path, "made")];
    await assert.rejects(
      runCommand(copy, missing, {}, [missing, to]),
      /could not open the storage/,
    );
    await assert.rejects(
      openToRead(to, () => undefined),
      /could not open the storage/,
    );
  });
});
