/**
 * The contract of `client/stores/store.ts` as test cases. They need no test runner and no API of a
 * runtime, so a browser can run them too.
 */

import type { Store } from "../../client/stores/store.ts";
import type { Cursor } from "../../client/types.ts";

/** A place for stores, empty at first. */
export interface StorePlace {
  /** Opens a store, as a client does when it starts. */
  readonly open: () => Promise<Store>;
  /** Whether a place can be open twice. The second client gets another store then. */
  readonly shared: boolean;
}

export interface StoreCase {
  readonly name: string;
  /** Throws when the store violates the contract. */
  readonly run: (place: StorePlace) => Promise<void>;
}

const A = "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11";
const B = "8e1d0c5a-3f0b-4b8e-9d3e-2f6f1f7b9c22";
const ALL = Number.POSITIVE_INFINITY;

function cursor(client: string, index: number): Cursor {
  const [tag, previous] = ["47DEQpj8HBSa-_TImW-5JA", "AAAAAAAAAAAAAAAAAAAAAA"];
  return { client, index, tag, previous, session: { first: 0, secret: "c2VjcmV0" } };
}

function same(actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`got ${a}, expected ${b}`);
}

async function fails(work: Promise<unknown>): Promise<void> {
  const failed = await work.then(
    () => false,
    () => true,
  );
  if (!failed) throw new Error("expected a rejection");
}

/** The state of a store, with the cursors sorted. */
async function stateOf(store: Store) {
  const { cursors, ...state } = await store.load();
  const own = state.own.map(({ client, length, acknowledged, highWater }) => {
    return { client, length, acknowledged, highWater };
  });
  const sorted = [...cursors].sort((one, other) => (one.client < other.client ? -1 : 1));
  const fields = sorted.map(({ client, index, tag, previous, session, continues }) => {
    return { client, index, tag, previous, session, ...(continues && { continues }) };
  });
  return { own, cursors: fields };
}

export const storeCases: readonly StoreCase[] = [
  {
    name: "is empty at first",
    async run({ open }) {
      const store = await open();
      same(await stateOf(store), { own: [], cursors: [] });
      await store.close();
    },
  },
  {
    name: "keeps everything when it is closed and opened again",
    async run({ open }) {
      const store = await open();
      await store.begin(A);
      await store.append(A, 0, ["zero", "one"]);
      await store.append(A, 2, ["two"]);
      await store.acknowledge(A, 2);
      await store.advance(cursor(B, 6));
      await store.advance(cursor(B, 7));
      const expected = {
        own: [{ client: A, length: 3, acknowledged: 2, highWater: 2 }],
        cursors: [cursor(B, 7)],
      };
      same(await stateOf(store), expected);
      await store.close();
      const again = await open();
      same(await stateOf(again), expected);
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
      await fails(store.append(A, 0, ["again"]));
      await fails(store.append(A, 2, ["hole"]));
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
    name: "replaces all cursors",
    async run({ open }) {
      const store = await open();
      await store.advance(cursor(A, 1));
      await store.replaceCursors([cursor(B, 2)]);
      await store.close();
      const again = await open();
      same((await stateOf(again)).cursors, [cursor(B, 2)]);
      await again.replaceCursors([]);
      same((await stateOf(again)).cursors, []);
      await again.close();
    },
  },
  {
    name: "keeps what a cursor says of the client ids that its own one continues",
    async run({ open }) {
      const store = await open();
      const continues = [{ client: A, index: 3, tags: "47DEQpj8HBSa-_TImW-5" }];
      await store.advance({ ...cursor(B, 0), continues });
      await store.close();
      const again = await open();
      same((await stateOf(again)).cursors, [{ ...cursor(B, 0), continues }]);
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
        { client: B, length: 2, acknowledged: 0, highWater: 0 },
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
      same(await stateOf(second), { own: [], cursors: [] });
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
