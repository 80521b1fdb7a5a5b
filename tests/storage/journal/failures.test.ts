/** A disk that fails once: at each call of a run, one run after the other. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { StorageUnavailable } from "../../../storage/driver.ts";
import { HEADER_BYTES, idOf, seedOf } from "../../../storage/journal/header.ts";
import {
  JournaledDriver,
  type JournaledDriverOptions,
} from "../../../storage/journal/journaled-driver.ts";
import { scan } from "../../../storage/journal/record.ts";
import { Chance, type Process, SimulatedDisk, SimulatedFault } from "./simulated-disk.ts";

const TIMING = { rest: 0, keep: 10, adoptAfter: 10 };

it("a call of the system that fails loses nothing that is acknowledged, and the next put succeeds", async () => {
  for (let failAt = 1; ; failAt++) {
    if (await runFailingAt(failAt)) return;
    assert.ok(failAt < 1000);
  }
});

it("a sync that failed is not tried again, and nothing is written behind it", async () => {
  const disk = new SimulatedDisk(new Chance(1));
  const driver = await disk.run(open(disk));
  await disk.run(driver.put("u.a", Buffer.from("a")));
  // The write, the sync and the commit of the second put.
  disk.failAt = disk.calls + 3;
  await assert.rejects(disk.run(driver.put("u.b", Buffer.from("b"))));
  // The simulated disk fails the test where a file is written or synced after its failure.
  for (const name of ["u.b", "u.c"]) await disk.run(driver.put(name, Buffer.from(name)));
  const names = (await disk.run(driver.list("u."))).map(({ name }) => name);
  assert.deepEqual(names, ["u.a", "u.b", "u.c"]);
});

it("what was deleted stays deleted where a put of it had failed before one succeeded", async () => {
  for (const call of [1, 2, 3]) {
    const disk = new SimulatedDisk(new Chance(1));
    const driver = await disk.run(open(disk));
    await disk.run(driver.put("u.a", Buffer.from("a")));
    disk.failAt = disk.calls + call;
    await assert.rejects(disk.run(driver.put("u.b", Buffer.from("b"))));
    await disk.run(driver.put("u.b", Buffer.from("b")));
    await disk.run(driver.delete("u.b"));
    const second = await disk.run(open(disk));
    const names = (await disk.run(second.list(""))).map(({ name }) => name);
    assert.deepEqual(names, ["u.a"], `call ${call}`);
  }
});

it("what is deleted while a process makes a file of it stays deleted, whichever call fails", async () => {
  let left = 0;
  for (let steps = 1; steps <= 20; steps++) {
    for (let call = 1; call <= 6; call++) {
      const disk = new SimulatedDisk(new Chance(1));
      const owner = await disk.run(open(disk));
      await disk.run(owner.put("u.a", Buffer.from("a")));
      const process: Process = { alive: true };
      const other = await disk.run(open(disk, {}, process));
      disk.time += 20;
      const emptied = other.maintain();
      for (let step = 0; step < steps; step++) {
        await setImmediate();
        disk.step();
      }
      process.paused = true;
      await disk.run(owner.delete("u.a"));
      process.paused = false;
      disk.failAt = disk.calls + call;
      await disk.run(emptied);
      disk.failAt = 0;
      if (disk.hasFile("u.a")) left++;
      await disk.run(other.maintain());
      const last = await disk.run(open(disk));
      assert.deepEqual(await disk.run(last.list("")), [], `steps ${steps}, call ${call}`);
    }
  }
  assert.ok(left > 0);
});

it("a delete ends all records of an object that became a file, also in a copy of the folder", async () => {
  const disk = new SimulatedDisk(new Chance(1));
  const driver = await disk.run(open(disk));
  for (let round = 0; round < 2; round++) {
    await disk.run(driver.put("u.a", Buffer.from("a")));
    // The process that makes a file of it has read what a restarted one has written.
    const other = await disk.run(open(disk));
    disk.time += 20;
    await disk.run(other.maintain());
    assert.ok(disk.hasFile("u.a"));
  }
  await disk.run(driver.delete("u.a"));
  const copy = new SimulatedDisk(new Chance(1));
  await disk.run(disk.copyTo(copy));
  const restored = await copy.run(open(copy));
  assert.deepEqual(await copy.run(restored.list("")), []);
});

it("what a batch without a commit holds is shown once the disk takes it, and all else at once", async () => {
  const disk = new SimulatedDisk(new Chance(1));
  const driver = await disk.run(open(disk));
  await disk.run(driver.put("u.a", Buffer.from("a")));
  await disk.run(driver.put("v.a", Buffer.from("a")));
  // The commit of the next put fails, as a power loss may take it.
  disk.failAt = disk.calls + 3;
  await assert.rejects(disk.run(driver.put("u.b", Buffer.from("b"))));
  disk.isReadOnly = true;
  const second = await disk.run(open(disk));
  const list = async (prefix: string) =>
    (await disk.run(second.list(prefix))).map(({ name }) => name);
  await assert.rejects(list("u."), StorageUnavailable);
  await assert.rejects(disk.run(second.get("u.b")), StorageUnavailable);
  assert.deepEqual(await list("v."), ["v.a"]);
  assert.equal(String(await disk.run(second.get("u.a"))), "a");
  disk.isReadOnly = false;
  assert.deepEqual(await list("u."), ["u.a", "u.b"]);
});

it("what a batch without a commit holds survives a start on a disk that takes nothing, though nobody asks", async () => {
  const found = new Set<string>();
  for (let call = 1; call <= 12; call++) {
    const [atOnce, later] = [await afterPowerLoss(call, false), await afterPowerLoss(call, true)];
    assert.deepEqual(later, atOnce, `call ${call}`);
    found.add(later.join());
  }
  assert.ok(found.has("u.b"));
});

/** What is listed after a call has failed of a process that deletes `u.a` and stores `u.b`. */
async function afterPowerLoss(call: number, isReadOnly: boolean): Promise<string[]> {
  const disk = new SimulatedDisk(new Chance(1));
  const driver = await disk.run(open(disk));
  await disk.run(driver.put("u.a", Buffer.from("a")));
  disk.failAt = disk.calls + call;
  const deleted = driver.delete("u.a");
  await disk.run(Promise.allSettled([deleted, driver.put("u.b", Buffer.from("b"))]));
  disk.losePower();
  disk.failAt = 0;
  disk.isReadOnly = isReadOnly;
  const second = await disk.run(open(disk));
  await disk.run(second.maintain());
  disk.isReadOnly = false;
  for (let round = 0; round < 4; round++) {
    disk.time += 20;
    await disk.run(second.maintain());
  }
  return (await disk.run(second.list(""))).map(({ name }) => name);
}

it("a journal stays while a batch in it without a commit cannot be stored, though nothing else is in it", async () => {
  const disk = new SimulatedDisk(new Chance(1));
  const driver = await disk.run(open(disk));
  await disk.run(driver.put("u.a", Buffer.from("a")));
  await disk.run(driver.delete("u.a"));
  // The commit of the next put fails, as a power loss may take it.
  disk.failAt = disk.calls + 3;
  await assert.rejects(disk.run(driver.put("u.b", Buffer.from("b"))));
  disk.losePower();
  disk.isReadOnly = true;
  const second = await disk.run(open(disk));
  for (let round = 0; round < 4; round++) {
    disk.time += 20;
    await disk.run(second.maintain());
  }
  disk.isReadOnly = false;
  const names = (await disk.run(second.list(""))).map(({ name }) => name);
  assert.deepEqual(names, ["u.b"]);
});

it("a journal stays for a while after the last delete in it, however old it is", async () => {
  const disk = new SimulatedDisk(new Chance(1));
  const driver = await disk.run(open(disk));
  await disk.run(driver.put("u.a", Buffer.from("a")));
  const other = await disk.run(open(disk));
  await disk.run(other.put("u.segment", Buffer.from("b")));
  disk.time += 1000;
  await disk.run(other.delete("u.a", "u.segment"));
  await disk.run(other.maintain());
  assert.equal(disk.frame().journals.size, 2);
  disk.time += TIMING.keep;
  await disk.run(other.maintain());
  assert.equal(disk.frame().journals.size, 1);
});

it("nothing is committed to a journal that another process has adopted before", async () => {
  const disk = new SimulatedDisk(new Chance(1));
  const process: Process = { alive: true };
  const owner = await disk.run(open(disk, {}, process));
  await disk.run(owner.put("u.a", Buffer.from("a")));
  const [[journal, { bytes }] = assert.fail()] = [...disk.frame().journals];
  const other = await disk.run(open(disk));
  const put = owner.put("u.b", Buffer.from("b"));
  // It sleeps between the write and the sync of its batch.
  const sizeNow = () => disk.frame().journals.get(journal)?.bytes.byteLength ?? 0;
  while (sizeNow() === bytes.byteLength) {
    await setImmediate();
    disk.step();
  }
  process.paused = true;
  disk.time += 20;
  await disk.run(other.maintain());
  process.paused = false;
  await disk.run(put);
  const after = disk.frame().journals.get(journal)?.bytes ?? assert.fail();
  const { records } = scan(seedOf(idOf(journal)), after.subarray(HEADER_BYTES), HEADER_BYTES);
  assert.deepEqual(
    records.map(({ name }) => name),
    ["u.a"],
  );
  const names = (await disk.run(other.list(""))).map(({ name }) => name);
  assert.deepEqual(names, ["u.a", "u.b"]);
});

it("journals are looked after where one cannot be touched, and the error is reported once", async () => {
  const disk = new SimulatedDisk(new Chance(1));
  const errors: unknown[] = [];
  const driver = await disk.run(open(disk, { onError: (error) => errors.push(error) }));
  await disk.run(driver.put("u.a", Buffer.from("a")));
  for (let round = 0; round < 3; round++) {
    disk.failAt = disk.calls + 1;
    await disk.run(driver.maintain());
  }
  assert.equal(errors.length, 1);
  const names = (await disk.run(driver.list(""))).map(({ name }) => name);
  assert.deepEqual(names, ["u.a"]);
});

it("journals of processes that live shortly do not add up", async () => {
  const disk = new SimulatedDisk(new Chance(1));
  const process: Process = { alive: true };
  for (let run = 0; run < 30; run++) {
    const driver = await disk.run(open(disk));
    await disk.run(driver.put(`u.${run}`, Buffer.from("a")));
    await disk.run(driver.put(`u.segment${run}`, Buffer.from("b")));
    await disk.run(driver.delete(`u.${run}`, `u.segment${run}`));
    disk.time += 6;
    await disk.run(driver.maintain());
    await disk.run(driver.close());
    assert.ok(disk.folder(process).names().length <= 8, `${run}`);
  }
});

it("journals without live objects go earlier where they take too much room", async () => {
  const disk = new SimulatedDisk(new Chance(1));
  const timing = { ...TIMING, keep: 1e9 };
  const driver = await disk.run(open(disk, { timing, maxDeadBytes: 5000 }));
  for (let count = 0; count < 30; count++) {
    await disk.run(driver.put(`u.${count}`, Buffer.alloc(500)));
    await disk.run(driver.delete(`u.${count}`));
    await disk.run(driver.maintain());
    const { journals } = disk.frame();
    const bytes = [...journals.values()].reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
    assert.ok(bytes < 5000 + 3 * 1000, `${bytes}`);
  }
  assert.ok(disk.frame().journals.size > 4);
});

/** True if the run made no such call. */
async function runFailingAt(failAt: number): Promise<boolean> {
  const disk = new SimulatedDisk(new Chance(failAt));
  const stored = new Set<string>();
  const maybe = new Set<string>();
  disk.failAt = failAt;
  const attempt = async (work: () => Promise<unknown>, ...names: string[]) => {
    for (const name of names) maybe.add(name);
    try {
      await disk.run(work());
    } catch (error) {
      if (!isFault(error)) throw error;
      return false;
    }
    return true;
  };
  const put = async (driver: JournaledDriver, name: string, size = 20) => {
    const store = () => driver.put(name, Buffer.alloc(size, name));
    // What fails once succeeds when it is tried again.
    if (!(await attempt(store, name))) assert.ok(await attempt(store));
    stored.add(name);
  };
  const openOne = async () => {
    try {
      return await disk.run(open(disk));
    } catch (error) {
      if (!isFault(error)) throw error;
      return disk.run(open(disk));
    }
  };
  const check = async (driver: JournaledDriver) => {
    let listed: string[] = [];
    const list = async () => {
      listed = (await driver.list("")).map(({ name }) => name);
    };
    if (!(await attempt(list))) assert.ok(await attempt(list));
    for (const name of stored) assert.ok(listed.includes(name), `call ${failAt}: ${name} is lost`);
    for (const name of listed) assert.ok(maybe.has(name), `call ${failAt}: ${name} is back`);
  };

  const first = await openOne();
  await put(first, "u.a");
  await put(first, "u.b");
  const second = await openOne();
  await put(second, "u.c");
  stored.delete("u.a");
  const remove = () => second.delete("u.a");
  if (!(await attempt(remove))) assert.ok(await attempt(remove));
  maybe.delete("u.a");
  await put(first, "u.large", 900);
  for (let round = 0; round < 4; round++) {
    disk.time += 20;
    await attempt(() => first.maintain());
    await attempt(() => second.maintain());
    await check(second);
  }
  // What is known of the disk alone.
  await check(await openOne());
  disk.losePower();
  await check(await openOne());
  return disk.calls < failAt;
}

function open(
  disk: SimulatedDisk,
  options: Partial<JournaledDriverOptions> = {},
  process: Process = { alive: true },
): Promise<JournaledDriver> {
  return JournaledDriver.open({
    files: disk.files(process),
    folder: disk.folder(process),
    onDamage: (journal) => assert.fail(`damage in ${journal}`),
    onError: () => undefined,
    maxBytes: 1000,
    timing: TIMING,
    now: () => disk.time,
    ...options,
  });
}

function isFault(error: unknown): boolean {
  return error instanceof Error && (error instanceof SimulatedFault || isFault(error.cause));
}
