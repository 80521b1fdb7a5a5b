/** A process reads journals while another one moves what they hold: between any two of its calls. */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { JournalFile, JournalFolder } from "../../../storage/journal/folder.ts";
import { JournaledDriver } from "../../../storage/journal/journaled-driver.ts";
import { Journals } from "../../../storage/journal/journals.ts";
import { Chance, type Frame, SimulatedDisk } from "./simulated-disk.ts";

it("a list misses nothing that becomes a file while it reads", async () => {
  const frames = await framesOf(1, async (open, disk, done) => {
    const driver = await open();
    // The last one seals the journal.
    for (const name of NAMES) await done(driver.put(name, Buffer.alloc(200, name)));
    disk.isKept = true;
    for (let round = 0; round < 3; round++) await done(driver.maintain());
  });
  const isThere = (found: ReadonlySet<string>) => NAMES.every((name) => found.has(name));
  assert.ok(readAll(frames, isThere) > 1000);
});

it("a list misses nothing that another process packs into an object of a journal while it reads", async () => {
  // Of the two journals, either comes first.
  for (const seed of [1, 2, 3, 4]) {
    const frames = await framesOf(seed, async (open, disk, done) => {
      const [first, second] = [await open(), await open()];
      for (const driver of [first, second]) await done(driver.put("u.begun", Buffer.alloc(1)));
      await done(second.put("u.other", Buffer.alloc(1)));
      await done(first.put("u.packed", Buffer.alloc(1)));
      disk.isKept = true;
      await done(first.put("u.segment", Buffer.alloc(1)));
      await done(second.list("u."));
      await done(second.delete("u.packed", "u.segment"));
    });
    assert.ok(readAll(frames, (found) => found.has("u.packed") || found.has("u.segment")) > 100);
  }
});

const NAMES = ["u.a", "u.b", "u.c"];

/** Reads at all moments, and from each call of a reading on at each later moment. */
function readAll(
  frames: readonly Frame[],
  isRight: (found: ReadonlySet<string>) => boolean,
): number {
  let reads = 0;
  for (let from = 0; from < frames.length; from++) {
    for (let to = from + 1; to < frames.length; to++) {
      for (let call = 1; ; call++) {
        const reader = new Reader([frames[from], frames[to]], call);
        const journals = new Journals({
          folder: reader.folder(),
          onDamage: (journal) => assert.fail(`damage in ${journal}`),
        });
        journals.refresh();
        reads++;
        // The files are read after the journals.
        const found = new Set([...journals.list("").keys(), ...reader.frame.files]);
        assert.ok(isRight(found), `from ${from} to ${to} at call ${call}`);
        if (reader.calls < call) break;
      }
    }
  }
  return reads;
}

type Done = (work: Promise<unknown>) => Promise<void>;

/** What is on the disk after each call of some work, from when it says that this is kept. */
async function framesOf(
  seed: number,
  work: (
    open: () => Promise<JournaledDriver>,
    kept: { isKept: boolean },
    done: Done,
  ) => Promise<void>,
): Promise<Frame[]> {
  const disk = new SimulatedDisk(new Chance(seed));
  const frames: Frame[] = [];
  const kept = { isKept: false };
  const done: Done = async (some) => {
    await disk.run(some, () => {
      if (kept.isKept) frames.push(disk.frame());
    });
  };
  const open = () => {
    const process = { alive: true };
    return JournaledDriver.open({
      files: disk.files(process),
      folder: disk.folder(process),
      onDamage: () => undefined,
      onError: (error) => assert.fail(String(error)),
      maxBytes: 560,
      timing: { rest: 0, keep: 0, adoptAfter: 1000 },
      now: () => disk.time,
    });
  };
  await work(open, kept, done);
  return frames;
}

/** Reads one frame, and from one of its calls on another. */
class Reader {
  calls = 0;
  readonly #frames: readonly (Frame | undefined)[];
  readonly #switchAt: number;

  constructor(frames: readonly (Frame | undefined)[], switchAt: number) {
    this.#frames = frames;
    this.#switchAt = switchAt;
  }

  get frame(): Frame {
    const frame = this.#frames[this.calls < this.#switchAt ? 0 : 1];
    if (frame === undefined) throw new RangeError("there is no such frame");
    return frame;
  }

  folder(): Pick<JournalFolder, "names" | "open"> {
    return {
      names: () => {
        this.calls++;
        return [...this.frame.journals.keys()].sort();
      },
      open: (name) => {
        this.calls++;
        return this.frame.journals.has(name) ? this.#file(name) : undefined;
      },
    };
  }

  #file(name: string): JournalFile {
    const opened = this.frame.journals.get(name);
    if (opened === undefined) throw new RangeError(`there is no ${name}`);
    // What was removed can be read by the process that has it open.
    const now = () => {
      this.calls++;
      return this.frame.journals.get(name) ?? opened;
    };
    const read = (offset: number, length: number) => now().bytes.subarray(offset, offset + length);
    const never = () => assert.fail("a reader does not write");
    return {
      size: () => now().bytes.byteLength,
      read,
      salvage: read,
      place: () => opened.place,
      isGone: () => !this.frame.journals.has(name),
      age: () => 0,
      close: () => undefined,
      ...{ write: never, writeNow: never, sync: never, touch: never, release: never },
    };
  }
}
