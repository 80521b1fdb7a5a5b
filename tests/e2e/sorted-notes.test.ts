import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compareNames } from "../../examples/notebook/note-names.ts";
import { SortedNotes } from "../../examples/notebook/sorted-notes.ts";

const name = fc.nat(200).map((at) => `note:${(at * 7919) % 211}`);

describe("sorted notes", () => {
  it("hold each note once and in order, whatever the order in which they come", () => {
    fc.assert(
      fc.property(fc.array(fc.array(name)), (batches) => {
        const sorted = new SortedNotes();
        const all = new Set<string>();
        for (const batch of batches) {
          const before = new Set(all);
          for (const one of batch) all.add(one);
          const added = [...all].filter((one) => !before.has(one));
          assert.deepEqual(sorted.add(batch), added.sort(compareNames));
        }
        const expected = [...all].sort(compareNames);
        assert.equal(sorted.length, all.size);
        assert.deepEqual([...sorted.oldestFirst()], expected);
        assert.deepEqual([...sorted.newestFirst()], expected.reverse());
      }),
    );
  });
});
