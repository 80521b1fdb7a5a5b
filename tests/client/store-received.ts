/** The contract of a store, as far as it is about the operations of other installations. */
import type { Store } from "../../client/stores/store.ts";
import { A, ALL, B, C, cursor, fails, type StoreCase, same, stateOf } from "./store-case.ts";

/** What a store has of a client id from an index on, read in pieces. */
async function received(store: Store, client: string, from = 0, characters = ALL) {
  const payloads: string[] = [];
  let start: number | undefined;
  for (let at = from; ; ) {
    const piece = await store.readReceived(client, at, characters);
    if (piece.payloads.length === 0) return { first: start, payloads };
    start ??= piece.first;
    same(piece.first, start + payloads.length);
    payloads.push(...piece.payloads);
    at = piece.first + piece.payloads.length;
  }
}

/** The characters of texts together. */
function sizeOf(texts: readonly string[]): number {
  return texts.reduce((sum, { length }) => sum + length, 0);
}

const NOTHING = { payloads: [] };

export const receivedCases: readonly StoreCase[] = [
  {
    name: "keeps what was received with its cursor when it is closed and opened again",
    async run({ open }) {
      const store = await open();
      await store.receive(cursor(B, 1), ["zero", "one"]);
      await store.receive(cursor(C, 0), ["other"]);
      await store.receive(cursor(B, 2), ["two"]);
      const expected = { own: [], drafts: [], cursors: [cursor(C, 0), cursor(B, 2)], starts: [] };
      same(await stateOf(store), expected);
      same(await received(store, B), { first: 0, payloads: ["zero", "one", "two"] });
      await store.close();
      const again = await open();
      same(await stateOf(again), expected);
      await again.receive(cursor(B, 3), ["three"]);
      same(await received(again, B), { first: 0, payloads: ["zero", "one", "two", "three"] });
      same(await received(again, C), { first: 0, payloads: ["other"] });
      same(await received(again, A), NOTHING);
      await again.close();
    },
  },
  {
    name: "reads what was received from any index, within the limit, and at least one payload",
    async run({ open }) {
      const store = await open();
      const payloads = Array.from({ length: 400 }, (_, i) =>
        `payload-${i}-`.padEnd(1 + (i % 60), "x"),
      );
      // Longer than what a store may read at once.
      payloads.push("y".repeat(600_000), "z", "y".repeat(300_000), "last");
      for (let done = 0; done < payloads.length; done += 50) {
        const some = payloads.slice(done, done + 50);
        await store.receive(cursor(B, done + some.length - 1), some);
      }
      same(await received(store, B), { first: 0, payloads });
      // Not in order alone.
      for (const from of [403, 0, 399, 49, 50, 51, 400, 1, 402, 3]) {
        for (const characters of [0, 1, 40, 1000, 600_001]) {
          const one = await store.readReceived(B, from, characters);
          same(one.first, from);
          same(one.payloads, payloads.slice(from, from + one.payloads.length));
          if (one.payloads.length === 0) throw new Error(`nothing from ${from} on`);
          const isWithin = one.payloads.length === 1 || sizeOf(one.payloads) <= characters;
          if (!isWithin) throw new Error(`${sizeOf(one.payloads)} characters, not ${characters}`);
        }
        same(await received(store, B, from, 500), { first: from, payloads: payloads.slice(from) });
      }
      same((await store.readReceived(B, payloads.length, ALL)).payloads, []);
      await store.close();
    },
  },
  {
    name: "refuses operations that do not follow what was received, and keeps that",
    async run({ open }) {
      const store = await open();
      await fails(store.receive(cursor(B, 1), ["one"]), "RangeError");
      same((await stateOf(store)).cursors, []);
      await store.receive(cursor(B, 1), ["zero", "one"]);
      for (const index of [0, 1, 3]) {
        await fails(store.receive(cursor(B, index), ["no"]), "RangeError");
      }
      await fails(store.receive(cursor(B, 2), ["one", "two", "three"]), "RangeError");
      same((await stateOf(store)).cursors, [cursor(B, 1)]);
      await store.close();
      const again = await open();
      same((await stateOf(again)).cursors, [cursor(B, 1)]);
      same(await received(again, B), { first: 0, payloads: ["zero", "one"] });
      await again.receive(cursor(B, 2), ["two"]);
      same(await received(again, B, 1), { first: 1, payloads: ["one", "two"] });
      await again.close();
    },
  },
  {
    name: "forgets what was received of a client id, and takes it again from the first operation on",
    async run({ open }) {
      const store = await open();
      await store.receive(cursor(B, 1), ["zero", "one"]);
      await store.receive(cursor(C, 0), ["other"]);
      await store.forget(B, undefined);
      same(await stateOf(store), { own: [], drafts: [], cursors: [cursor(C, 0)], starts: [] });
      same(await received(store, B), NOTHING);
      await store.close();
      const again = await open();
      same((await stateOf(again)).cursors, [cursor(C, 0)]);
      same(await received(again, B), NOTHING);
      await fails(again.receive(cursor(B, 2), ["two"]), "RangeError");
      await again.receive(cursor(B, 0), ["zero-anew"]);
      same(await received(again, B), { first: 0, payloads: ["zero-anew"] });
      same(await received(again, C), { first: 0, payloads: ["other"] });
      await again.close();
    },
  },
  {
    name: "forgets what was received of a client id, and takes what follows another start",
    async run({ open }) {
      const store = await open();
      await store.receive(cursor(B, 1), ["zero", "one"]);
      for (const start of [cursor(B, 4), cursor(B, 0)]) await store.forget(B, start);
      const forgotten = { cursors: [cursor(B, 0)], starts: [cursor(B, 0)] };
      same(await stateOf(store), { own: [], drafts: [], ...forgotten });
      same(await received(store, B), NOTHING);
      await store.close();
      const again = await open();
      same(await stateOf(again), { own: [], drafts: [], ...forgotten });
      await fails(again.receive(cursor(B, 0), ["zero"]), "RangeError");
      await again.receive(cursor(B, 2), ["one-anew", "two"]);
      await again.close();
      const last = await open();
      const kept = { cursors: [cursor(B, 2)], starts: [cursor(B, 0)] };
      same(await stateOf(last), { own: [], drafts: [], ...kept });
      same(await received(last, B), { first: 1, payloads: ["one-anew", "two"] });
      same(await received(last, B, 2), { first: 2, payloads: ["two"] });
      await last.forget(B, undefined);
      same(await stateOf(last), { own: [], drafts: [], cursors: [], starts: [] });
      await last.close();
    },
  },
  {
    name: "keeps what was received of a client id apart from what it created under the same one",
    async run({ open }) {
      const store = await open();
      await store.begin(A);
      await store.append(A, 0, ["own"]);
      await store.forget(A, cursor(A, 0));
      await store.receive(cursor(A, 1), ["of-a-copy"]);
      await store.close();
      const again = await open();
      same(await again.read(A, 0, ALL, ALL), ["own"]);
      same(await received(again, A), { first: 1, payloads: ["of-a-copy"] });
      await again.append(A, 1, ["own-too"]);
      same(await received(again, A), { first: 1, payloads: ["of-a-copy"] });
      await again.close();
    },
  },
  {
    name: "sets a cursor anew without operations, and takes those that follow it",
    async run({ open }) {
      const store = await open();
      await fails(store.receive(cursor(B, 0), []), "RangeError");
      await store.receive(cursor(B, 1), ["zero", "one"]);
      const continues = [{ client: A, index: 3, tags: "47DEQpj8HBSa-_TImW-5" }];
      await store.receive({ ...cursor(B, 1), continues }, []);
      for (const index of [0, 2]) await fails(store.receive(cursor(B, index), []), "RangeError");
      await store.close();
      const again = await open();
      same((await stateOf(again)).cursors, [{ ...cursor(B, 1), continues }]);
      same(await received(again, B), { first: 0, payloads: ["zero", "one"] });
      same((await again.readReceived(B, 2, ALL)).payloads, []);
      await again.receive(cursor(B, 2), ["two"]);
      await again.close();
      const last = await open();
      same((await stateOf(last)).cursors, [cursor(B, 2)]);
      same(await received(last, B), { first: 0, payloads: ["zero", "one", "two"] });
      await last.close();
    },
  },
  {
    name: "keeps what a cursor says of the client ids that its own one continues",
    async run({ open }) {
      const store = await open();
      const continues = [{ client: A, index: 3, tags: "47DEQpj8HBSa-_TImW-5" }];
      await store.receive({ ...cursor(B, 0), continues }, ["zero"]);
      await store.forget(C, { ...cursor(C, 5), continues });
      await store.close();
      const again = await open();
      const { cursors, starts } = await stateOf(again);
      same(cursors, [
        { ...cursor(C, 5), continues },
        { ...cursor(B, 0), continues },
      ]);
      same(starts, [{ ...cursor(C, 5), continues }]);
      await again.close();
    },
  },
];
