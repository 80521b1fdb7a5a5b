/** The contract of a store, as far as it is about drafts. */
import { A, ALL, B, C, fails, type StoreCase, same, stateOf } from "./store-case.ts";

export const draftCases: readonly StoreCase[] = [
  {
    name: "keeps drafts, apart from operations, when it is closed and opened again",
    async run({ open }) {
      const store = await open();
      await store.begin(A);
      await store.append(A, 0, ["zero"]);
      await store.appendDraft(A, 1, "one");
      await store.appendDraft(A, 2, "two");
      await store.acknowledge(A, 1);
      const own = [{ client: A, length: 1, acknowledged: 1, highWater: 1 }];
      same(await stateOf(store), { own, drafts: ["one", "two"], cursors: [], starts: [] });
      await store.close();
      const again = await open();
      same(await stateOf(again), { own, drafts: ["one", "two"], cursors: [], starts: [] });
      same(await again.read(A, 0, ALL, ALL), ["zero"]);
      await again.appendDraft(A, 3, "three");
      same((await stateOf(again)).drafts, ["one", "two", "three"]);
      await again.close();
    },
  },
  {
    name: "ends drafts with the operations that take their place",
    async run({ open }) {
      let store = await open();
      await store.begin(A);
      for (let index = 0; index < 3; index++) {
        await store.appendDraft(A, index, "draft");
        await store.appendDraft(A, index + 1, "draft");
        await store.append(A, index, [`operation-${index}`]);
        same((await stateOf(store)).drafts, []);
        await store.close();
        store = await open();
        same((await stateOf(store)).drafts, []);
        same((await store.read(A, index, ALL, ALL)).length, 1);
      }
      await store.appendDraft(A, 3, "of-the-next");
      await store.append(A, 3, ["three", "four"]);
      await store.appendDraft(A, 5, "five");
      await store.close();
      store = await open();
      same((await stateOf(store)).drafts, ["five"]);
      same(await store.read(A, 2, ALL, ALL), ["operation-2", "three", "four"]);
      await store.close();
    },
  },
  {
    name: "refuses a draft that is not the next one, and keeps those that there are",
    async run({ open }) {
      const store = await open();
      await store.begin(A);
      await store.append(A, 0, ["zero"]);
      for (const index of [0, 2]) await fails(store.appendDraft(A, index, "no"), "RangeError");
      await store.appendDraft(A, 1, "one");
      for (const index of [0, 1, 3]) await fails(store.appendDraft(A, index, "no"), "RangeError");
      await fails(store.appendDraft(B, 0, "no"), "RangeError");
      await fails(store.append(A, 2, ["behind-the-draft"]), "RangeError");
      same((await stateOf(store)).drafts, ["one"]);
      await store.close();
      const again = await open();
      same((await stateOf(again)).drafts, ["one"]);
      for (const index of [1, 3]) await fails(again.appendDraft(A, index, "no"), "RangeError");
      await again.appendDraft(A, 2, "two");
      same((await stateOf(again)).drafts, ["one", "two"]);
      await again.close();
    },
  },
  {
    name: "has no drafts after a move, and takes those of the new client id",
    async run({ open }) {
      const store = await open();
      await store.begin(A);
      await store.append(A, 0, ["zero", "one"]);
      await store.appendDraft(A, 2, "two");
      await store.move({ from: A, length: 1, to: B, payloads: ["one-anew"] });
      same((await stateOf(store)).drafts, []);
      await store.close();
      const again = await open();
      same((await stateOf(again)).drafts, []);
      await again.appendDraft(B, 1, "next");
      await again.close();
      const last = await open();
      same((await stateOf(last)).drafts, ["next"]);
      same(await last.read(A, 0, ALL, ALL), ["zero"]);
      same(await last.read(B, 0, ALL, ALL), ["one-anew"]);
      // From a client id that was given up before.
      await last.move({ from: A, length: 0, to: C, payloads: ["zero-anew"] });
      same((await stateOf(last)).drafts, []);
      await last.close();
      const moved = await open();
      const { own, drafts } = await stateOf(moved);
      same(
        [own.map(({ client, length }) => [client, length]), drafts],
        [
          [
            [A, 0],
            [B, 1],
            [C, 1],
          ],
          [],
        ],
      );
      await moved.close();
    },
  },
  {
    name: "finds what another client left in drafts alone, and nothing once those have ended",
    async run({ open, shared }) {
      if (!shared) return;
      const first = await open();
      const second = await open();
      await second.begin(A);
      await second.append(A, 0, ["zero"]);
      await second.acknowledge(A, 1);
      await second.appendDraft(A, 1, "one");
      await second.close();
      const [left, ...others] = await first.abandoned();
      same(others.length, 0);
      if (left === undefined) throw new Error("it was not found");
      same((await stateOf(left)).drafts, ["one"]);
      await left.move({ from: A, length: 1, to: B, payloads: ["one"] });
      await left.acknowledge(B, 1);
      await left.close();
      same((await first.abandoned()).length, 0);
      await first.close();
    },
  },
];
