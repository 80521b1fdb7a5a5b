/** Many updates of a document of Yjs: applied and merged. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  applyUpdate,
  Doc,
  encodeStateAsUpdate,
  encodeStateVector,
  equalSnapshots,
  snapshot,
  mergeUpdates as yjsMerge,
} from "yjs";
import { applyUpdates, joinUpdates, mergeUpdates } from "../../client/yjs/updates.ts";

/** One edit of a device: where in the text, how much it deletes, and what it inserts. */
interface Edit {
  readonly device: number;
  readonly at: number;
  readonly deleted: number;
  readonly inserted: string;
  /** Whether the others see it at once. */
  readonly isSeen: boolean;
}

/** The updates of each device, and the document that has all. */
function written(edits: readonly Edit[], devices: number) {
  const docs = Array.from({ length: devices }, (_, device) => {
    const doc = new Doc();
    doc.clientID = device + 1;
    return doc;
  });
  const logs = docs.map((doc) => {
    const log: Uint8Array[] = [];
    doc.on("update", (update: Uint8Array, origin: unknown) => {
      if (origin === null) log.push(update);
    });
    return log;
  });
  for (const { device, at, deleted, inserted, isSeen } of edits) {
    const doc = docs[device] ?? assert.fail();
    const text = doc.getText("text");
    const place = Math.floor(at * (text.length + 1));
    doc.transact(() => {
      text.delete(place, Math.min(deleted, text.length - place));
      text.insert(place, inserted);
    });
    if (!isSeen) continue;
    for (const other of docs) {
      if (other === doc) continue;
      applyUpdate(other, encodeStateAsUpdate(doc, encodeStateVector(other)), "other");
    }
  }
  const whole = new Doc();
  for (const doc of docs) applyUpdate(whole, encodeStateAsUpdate(doc));
  return { logs, whole };
}

const edit = fc.record({
  device: fc.nat(2),
  at: fc.double({ min: 0, max: 0.999, noNaN: true }),
  deleted: fc.nat(4),
  inserted: fc.string({ minLength: 1, maxLength: 4 }),
  isSeen: fc.boolean(),
});

/** Two devices that type words in turns, with corrections, so that the updates of each build on the other's. */
function inTurns(turns: number) {
  return written(
    Array.from({ length: turns * 20 }, (_, i) => ({
      device: Math.floor(i / 20) % 2,
      at: 0.999,
      deleted: 0,
      inserted: "a",
      isSeen: i % 20 === 19,
    })),
    2,
  );
}

/** The updates of all devices: those of one in order, in runs of a device and a length. */
function inRuns(logs: readonly Uint8Array[][], runs: readonly (readonly [number, number])[]) {
  const rest = logs.map((log) => [...log]);
  const some = runs.flatMap(([device, length]) => rest[device]?.splice(0, length) ?? assert.fail());
  return [...some, ...rest.flat()];
}

/** Parts of these sizes, in turn. */
function inParts(updates: readonly Uint8Array[], sizes: readonly number[]) {
  const parts: Uint8Array[][] = [];
  for (let at = 0, i = 0; at < updates.length; i++) {
    const end = at + 1 + (sizes[i % sizes.length] ?? assert.fail());
    parts.push(updates.slice(at, end));
    at = end;
  }
  return parts;
}

function docOf(updates: readonly Uint8Array[]): Doc {
  const doc = new Doc();
  applyUpdates(doc, updates);
  return doc;
}

function textOf(doc: Doc): string {
  return doc.getText("text").toString();
}

/** Counts how often Yjs keeps what waits in a document, and joins it with what comes. */
function countWaits(doc: Doc): () => number {
  let count = 0;
  let waiting = doc.store.pendingStructs;
  const counted = (next: NonNullable<typeof waiting>): typeof waiting => {
    let { update } = next;
    return {
      missing: next.missing,
      get update() {
        return update;
      },
      set update(joined) {
        update = joined;
        count++;
      },
    };
  };
  Object.defineProperty(doc.store, "pendingStructs", {
    get: () => waiting,
    set: (next: typeof waiting) => {
      waiting = next && counted(next);
      count++;
    },
  });
  return () => count;
}

describe("updates of a document of Yjs", () => {
  it("make the same document in whatever order those of several devices come, applied or merged", () => {
    const ends = fc.array(fc.nat(50), { minLength: 1, maxLength: 5 });
    const runs = fc.array(fc.tuple(fc.nat(2), fc.integer({ min: 1, max: 30 })), { maxLength: 20 });
    const edits = fc.array(edit, { maxLength: 120 });
    fc.assert(
      fc.property(edits, runs, ends, (edits, runs, sizes) => {
        const { logs, whole } = written(edits, 3);
        const updates = inRuns(logs, runs);
        const parts = inParts(updates, sizes);
        const applied = new Doc();
        for (const part of parts) applyUpdates(applied, part);
        const joined = new Doc();
        applyUpdates(joined, parts.map(joinUpdates));
        const merged = new Doc();
        applyUpdates(merged, [mergeUpdates(parts.map(mergeUpdates))]);
        for (const doc of [applied, joined, merged]) {
          assert.equal(textOf(doc), textOf(whole));
          assert.ok(equalSnapshots(snapshot(doc), snapshot(whole)));
        }
      }),
    );
  });

  it("make the same document where those of one device come in any order as well", () => {
    // As where a document has other providers, which bring the updates of a device by way of another one.
    const ranks = fc.array(fc.nat(), { minLength: 1, maxLength: 60 });
    const sizes = fc.array(fc.nat(9), { minLength: 1, maxLength: 5 });
    const edits = fc.array(edit, { maxLength: 60 });
    fc.assert(
      fc.property(edits, ranks, sizes, (edits, ranks, sizes) => {
        const { logs, whole } = written(edits, 3);
        const updates = logs
          .flat()
          .map((update, i) => ({ update, rank: ranks[i % ranks.length] ?? 0 }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ update }) => update);
        const parts = inParts(updates, sizes);
        const applied = new Doc();
        for (const part of parts) applyUpdates(applied, part);
        const joined = new Doc();
        for (const part of parts) applyUpdates(joined, [joinUpdates(part)]);
        for (const doc of [applied, joined, docOf([mergeUpdates(updates)])]) {
          assert.equal(textOf(doc), textOf(whole));
          assert.ok(equalSnapshots(snapshot(doc), snapshot(whole)));
        }
      }),
    );
  });

  it("are applied once what they wait for is there, where Yjs goes on waiting", () => {
    const step = (device: number, isSeen: boolean) => {
      return { device, at: 0, deleted: 0, inserted: "a", isSeen };
    };
    const { logs } = written([step(0, true), step(1, true), step(0, true), step(0, false)], 2);
    const [[first, second, third] = [], [other] = []] = logs;
    const doc = new Doc();
    for (const one of [
      [third, other],
      [first, second],
    ]) {
      applyUpdates(doc, [joinUpdates(one.map((update) => update ?? assert.fail()))]);
    }
    assert.equal(textOf(doc), "aaaa");
    assert.equal(doc.store.pendingStructs, null);
  });

  it("are one that is as small as the state of the document once they are merged", () => {
    const { logs, whole } = inTurns(50);
    const updates = logs.flat();
    const merged = mergeUpdates(updates);
    assert.equal(merged.length, encodeStateAsUpdate(whole).length);
    assert.ok(merged.length < yjsMerge(updates).length / 2);
  });

  it("wait together for those of another device that come later, and not each with all others", () => {
    const counts = [100, 200].map((turns) => {
      const { logs, whole } = inTurns(turns);
      const doc = new Doc();
      const waits = countWaits(doc);
      for (const log of logs) applyUpdates(doc, log);
      assert.equal(textOf(doc), textOf(whole));
      return waits();
    });
    const [count = 0, again] = counts;
    assert.ok(count > 0 && count < 100, `${count} times`);
    assert.equal(again, count);
  });

  it("are applied with the origin that is named, in transactions of a thousand", () => {
    const { logs, whole } = written(
      Array.from({ length: 2500 }, (_, i) => ({
        device: 0,
        at: (i % 100) / 100,
        deleted: 0,
        inserted: "a",
        isSeen: false,
      })),
      1,
    );
    const doc = new Doc();
    const origins: unknown[] = [];
    doc.on("afterTransaction", ({ origin, local }) => origins.push([origin, local]));
    applyUpdates(doc, logs.flat(), "log");
    assert.equal(textOf(doc), textOf(whole));
    assert.deepEqual(origins, Array(3).fill(["log", false]));
  });
});
