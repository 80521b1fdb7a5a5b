/**
 * The contract of `client/stores/store.ts` as test cases. They need no test runner and no API of a
 * runtime, so a browser can run them too.
 */
import { A, ALL, B, fails, type StoreCase, same, stateOf } from "./store-case.ts";
import { draftCases } from "./store-drafts.ts";
import { receivedCases } from "./store-received.ts";
import { snapshotCases } from "./store-snapshots.ts";

export const storeCases: readonly StoreCase[] = [
  ...draftCases,
  ...receivedCases,
  ...snapshotCases,
  {
    name: "is empty at first",
    async run({ open }) {
      const store = await open();
      same(await stateOf(store), { own: [], drafts: [], cursors: [], starts: [] });
      await store.close();
    },
  },
  {
    name: "keeps its operations when it is closed and opened again",
    async run({ open }) {
      const store = await open();
      await store.begin(A);
      await store.append(A, 0, ["zero", "one"]);
      await store.append(A, 2, ["two"]);
      await store.acknowledge(A, 2);
      const expected = [{ client: A, length: 3, acknowledged: 2, highWater: 2 }];
      same((await stateOf(store)).own, expected);
      await store.close();
      const again = await open();
      same((await stateOf(again)).own, expected);
      same(await again.read(A, 0, ALL, ALL), ["zero", "one", "two"]);
      await again.append(A, 3, ["three"]);
      same(await again.read(A, 2, 5, ALL), ["two", "three"]);
      await again.close();
    },
  },
  {
    name: "reads within the limits, and at least one payload",
    async run({ open }) {
      const store = await open();
      await store.begin(A);
      const payloads = Array.from({ length: 600 }, (_, i) => `payload-${i}`.padEnd(20, "x"));
      await store.append(A, 0, payloads);
      same(await store.read(A, 0, ALL, ALL), payloads);
      same(await store.read(A, 590, 3, ALL), payloads.slice(590, 593));
      same(await store.read(A, 5, 10, 0), [payloads[5]]);
      const some = await store.read(A, 0, ALL, 210);
      if (some.length < 9 || some.length > 10) throw new Error(`${some.length} payloads`);
      same(some, payloads.slice(0, some.length));
      same(await store.read(A, 600, 1, ALL), []);
      await store.close();
    },
  },
  {
    name: "refuses an append that is not at the end, and keeps its content",
    async run({ open }) {
      const store = await open();
      await store.begin(A);
      await store.append(A, 0, ["zero"]);
      await fails(store.append(A, 0, ["again"]), "RangeError");
      await fails(store.append(A, 2, ["hole"]), "RangeError");
      await fails(store.append(B, 0, ["nobody"]));
      same(await store.read(A, 0, ALL, ALL), ["zero"]);
      await store.close();
    },
  },
  {
    name: "accepts fewer acknowledgements than before, and keeps the most there ever were",
    async run({ open }) {
      const store = await open();
      await store.begin(A);
      await store.append(A, 0, ["zero", "one"]);
      await store.acknowledge(A, 2);
      await store.acknowledge(A, 0);
      same((await stateOf(store)).own, [{ client: A, length: 2, acknowledged: 0, highWater: 2 }]);
      await store.close();
    },
  },
  {
    name: "keeps up to where entries were delivered, until it is told another place",
    async run({ open }) {
      const store = await open();
      await store.begin(A);
      await store.append(A, 0, ["zero", "one"]);
      await store.acknowledge(A, 1, { index: 1, position: 3 });
      await store.acknowledge(A, 2);
      const delivered = { index: 1, position: 3 };
      const own = [{ client: A, length: 2, acknowledged: 2, highWater: 2, delivered }];
      same((await stateOf(store)).own, own);
      await store.close();
      const again = await open();
      same((await stateOf(again)).own, own);
      await again.acknowledge(A, 2, { index: 2, position: 0 });
      same((await stateOf(again)).own[0]?.delivered, { index: 2, position: 0 });
      await again.move({ from: A, length: 1, to: B, payloads: ["one-anew"] });
      same((await stateOf(again)).own[0]?.delivered, { index: 2, position: 0 });
      await again.close();
    },
  },
  {
    name: "moves operations to a new client id",
    async run({ open }) {
      const store = await open();
      await store.begin(A);
      await store.append(A, 0, ["zero", "one", "two"]);
      await store.acknowledge(A, 3);
      await store.move({ from: A, length: 1, to: B, payloads: ["one-anew", "two-anew"] });
      const own = [
        { client: A, length: 1, acknowledged: 1, highWater: 1 },
        {
          client: B,
          length: 2,
          acknowledged: 0,
          highWater: 0,
          moved: { from: A, first: 1, count: 2 },
        },
      ];
      same((await stateOf(store)).own, own);
      await store.close();
      const again = await open();
      same((await stateOf(again)).own, own);
      same(await again.read(A, 0, ALL, ALL), ["zero"]);
      same(await again.read(B, 0, ALL, ALL), ["one-anew", "two-anew"]);
      await again.append(B, 2, ["three"]);
      same(await again.read(B, 1, ALL, ALL), ["two-anew", "three"]);
      await again.close();
    },
  },
  {
    name: "gives a second client at the same time another store, and a later client the first store",
    async run({ open, shared }) {
      if (!shared) return;
      const first = await open();
      await first.begin(A);
      const second = await open();
      same((await stateOf(second)).own, []);
      await second.begin(B);
      await first.close();
      const third = await open();
      same((await stateOf(third)).own, [{ client: A, length: 0, acknowledged: 0, highWater: 0 }]);
      await second.close();
      await third.close();
    },
  },
  {
    name: "finds what another client left unsent, once its store is closed",
    async run({ open, shared }) {
      if (!shared) return;
      const first = await open();
      const second = await open();
      await second.begin(B);
      await second.append(B, 0, ["unsent"]);
      same((await first.abandoned()).length, 0);
      await second.close();
      const [left, ...others] = await first.abandoned();
      same(others.length, 0);
      if (left === undefined) throw new Error("it was not found");
      same(await left.read(B, 0, ALL, ALL), ["unsent"]);
      same((await first.abandoned()).length, 0);
      await left.acknowledge(B, 1);
      await left.close();
      same((await first.abandoned()).length, 0);
      await first.close();
    },
  },
];
