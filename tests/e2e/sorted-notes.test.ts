import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compareNotes, type Note } from "../../examples/notebook/notes.ts";
import { SortedNotes } from "../../examples/notebook/sorted-notes.ts";

const note: fc.Arbitrary<Note> = fc
  .record({ client: fc.constantFrom("a", "b", "c"), index: fc.nat(20), position: fc.nat(2) })
  .map((place) => ({ ...place, at: ((3 * place.index + place.position) * 7919) % 13, text: "" }));

describe("sorted notes", () => {
  it("hold each note once and in order, whatever the order in which they come", () => {
    fc.assert(
      fc.property(fc.array(fc.array(note)), fc.nat(50), (batches, count) => {
        const sorted = new SortedNotes();
        const all = new Map<string, Note>();
        for (const batch of batches) {
          const before = all.size;
          for (const one of batch) {
            const id = `${one.client} ${one.index} ${one.position}`;
            if (!all.has(id)) all.set(id, one);
          }
          assert.equal(sorted.add(batch).length, all.size - before);
        }
        const expected = [...all.values()].sort(compareNotes).reverse();
        assert.deepEqual(sorted.newest(all.size + 1), expected);
        assert.deepEqual(sorted.newest(count), expected.slice(0, count));
      }),
    );
  });

  it("take a note again that was removed", () => {
    const sorted = new SortedNotes();
    const [first, second] = [0, 1].map((position) => {
      return { client: "a", index: 0, position, at: position, text: "" };
    });
    assert.ok(first !== undefined && second !== undefined);
    sorted.add([first, second]);
    sorted.remove(new Set([first]));
    assert.deepEqual(sorted.newest(5), [second]);
    assert.deepEqual(sorted.add([first, second]), [first]);
    assert.deepEqual(sorted.newest(5), [second, first]);
  });
});
