import assert from "node:assert/strict";
import { it } from "node:test";
import { Journal } from "../../../storage/journal/journal.ts";
import { Chance, SimulatedDisk } from "./simulated-disk.ts";

const NAME = "u.a";

async function newJournal(): Promise<Journal> {
  const disk = new SimulatedDisk(new Chance(1));
  const { file } = await disk.run(disk.folder({ alive: true }).create("1.journal"));
  return new Journal(file, "1.journal", { place: file.place(), grows: true });
}

it("a record that ended before it was read stays ended, and a delete finds it if it became a file", async () => {
  for (const isMove of [true, false]) {
    const journal = await newJournal();
    assert.equal(journal.stateOf(NAME, 100), "unread");
    journal.end(NAME, 100, isMove);
    journal.add(NAME, { offset: 100, size: 1 });
    journal.readTo = 200;
    assert.equal(journal.find(NAME), undefined);
    assert.equal(journal.stateOf(NAME, 100), isMove ? "moved" : "deleted");
    assert.deepEqual(journal.recordsOf(NAME), isMove ? [100] : []);
    journal.end(NAME, 100, false);
    assert.equal(journal.stateOf(NAME, 100), "deleted");
  }
});

it("a delete finds each record of an object that became a file", async () => {
  const journal = await newJournal();
  for (const offset of [100, 200]) {
    journal.end(NAME, offset, true);
    assert.equal(journal.stateOf(NAME, offset), "moved");
  }
  assert.deepEqual(journal.recordsOf(NAME), [100, 200]);
  journal.end(NAME, 100, false);
  assert.deepEqual(journal.recordsOf(NAME), [200]);
});

it("a record that was deleted does not become a file by a move that comes later", async () => {
  const journal = await newJournal();
  journal.add(NAME, { offset: 100, size: 1 });
  journal.readTo = 200;
  journal.end(NAME, 100, false);
  journal.end(NAME, 100, true);
  assert.equal(journal.stateOf(NAME, 100), "deleted");
  assert.deepEqual(journal.recordsOf(NAME), []);
});
