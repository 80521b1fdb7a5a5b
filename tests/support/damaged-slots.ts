/** Slots of IndexedDB stores that were damaged, as cases that a page runs. */
import type { Identity } from "../../client/index.ts";
import { type IndexedDbDamage, IndexedDbStore } from "../../client/indexeddb.ts";
import { toBase64url } from "../../protocol/base64.ts";
import { same } from "../client/store-case.ts";
import { someCursor } from "./cursors.ts";
import { change, includes, putLog, rowsOf, type Tables } from "./slot-rows.ts";

type User = Pick<Identity, "fingerprint">;

export interface DamageCase {
  readonly name: string;
  /** Throws where the store does not do what the name says. */
  readonly run: (database: string, user: User) => Promise<void>;
}

const CLIENT = "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11";
const MOVED = "8e1d0c5a-3f0b-4b8e-9d3e-2f6f1f7b9c22";
const OTHER = "3b241101-e2bb-4255-8caf-4136c566a962";

interface Damage {
  readonly what: string;
  readonly damage: (table: Tables, slot: string) => void;
  /** What is reported. */
  readonly operations: number;
  readonly unsent: number | undefined;
}

/** Of three operations, of which one is acknowledged. */
const damages: readonly Damage[] = [
  {
    what: "a lost operation",
    damage: (table) => table("operations").delete([CLIENT, 1]),
    operations: 1,
    unsent: 2,
  },
  {
    what: "an operation that is none",
    damage: (table) => table("operations").put({ client: CLIENT, index: 2, payload: 5 }),
    operations: 2,
    unsent: 1,
  },
  {
    what: "all operations lost",
    damage: (table) => table("operations").clear(),
    operations: 0,
    unsent: 2,
  },
  {
    what: "a client id without its counts",
    damage: (table, slot) => table("own").put({ slot, place: 0, client: CLIENT }),
    operations: 3,
    unsent: undefined,
  },
  {
    what: "a row without a client id",
    damage: (table, slot) => table("own").put({ slot, place: 0 }),
    operations: 0,
    unsent: undefined,
  },
  {
    what: "a cursor that is none",
    damage: (table, slot) => table("cursors").put({ slot, client: "c", index: "x" }),
    operations: 3,
    unsent: 0,
  },
  {
    what: "a cursor below 0",
    damage: (table, slot) => table("cursors").put({ slot, ...someCursor(OTHER, -1) }),
    operations: 3,
    unsent: 0,
  },
];

/** Of the same with two drafts. */
const drafts: readonly (Omit<Damage, "operations"> & { readonly operations: string[] })[] = [
  {
    what: "a cursor that is none",
    damage: (table, slot) => table("cursors").put({ slot, client: "c", index: "x" }),
    operations: ["zero", "one", "two", "three", "four"],
    unsent: 0,
  },
  {
    what: "lost the first draft",
    damage: (table) => table("drafts").delete([CLIENT, 3]),
    operations: ["zero", "one", "two"],
    unsent: 1,
  },
  {
    what: "a draft that is none",
    damage: (table) => table("drafts").put({ client: CLIENT, index: 4, payload: 5 }),
    operations: ["zero", "one", "two", "three"],
    unsent: 1,
  },
  {
    what: "lost the operation before them",
    damage: (table) => table("operations").delete([CLIENT, 2]),
    operations: ["zero", "one"],
    unsent: 3,
  },
];

export const damageCases: readonly DamageCase[] = [
  ...damages.map(({ what, damage, operations, unsent }) => ({
    name: `sets a slot with ${what} aside, says so, and sends again what can be read`,
    run: async (name: string, user: User) => {
      await begin(name, user);
      const slot = `${user.fingerprint} 0`;
      await change(name, (table) => damage(table, slot));
      const before = await rowsOf(name);
      const found: IndexedDbDamage[] = [];
      const store = await IndexedDbStore.open(name, user, { onDamaged: (one) => found.push(one) });
      const [reported] = found;
      same([reported?.operations, reported?.unsent, found.length], [operations, unsent, 1]);
      const { own, cursors } = await store.load();
      const fresh = own.at(-1)?.client ?? "";
      const isTaken = what !== "a row without a client id";
      const taken = { client: CLIENT, length: operations, acknowledged: 0, highWater: operations };
      same(own, [
        ...(isTaken ? [taken] : []),
        { client: fresh, length: 0, acknowledged: 0, highWater: 0 },
      ]);
      same(cursors, []);
      same((await store.readReceived(OTHER, 0, 1000)).payloads, []);
      await store.receive(someCursor(OTHER, 0), ["theirs"]);
      same(
        isTaken ? await store.read(CLIENT, 0, 10, 1000) : [],
        ["zero", "one", "two"].slice(0, operations),
      );
      await store.append(fresh, 0, ["next"]);
      if (isTaken) await store.move({ from: CLIENT, length: 0, to: MOVED, payloads: [] });
      await store.close();
      // Everything is there still, under another name.
      const aside = (row: object) => JSON.stringify(row).replaceAll(slot, reported?.slot ?? "");
      const after = new Set((await rowsOf(name)).map((row) => JSON.stringify(row)));
      const readable = (row: object) =>
        "payload" in row && "index" in row && Number(row.index) < operations;
      const lost = before.filter((row) => !readable(row) && !after.has(aside(row)));
      same(lost, []);
      const again = await IndexedDbStore.open(name, user, {
        onDamaged: () => found.push(...found),
      });
      same(found.length, 1);
      await again.close();
    },
  })),
  ...drafts.map(({ what, damage, operations, unsent }) => ({
    name: `makes operations of the drafts that can be read where a slot has ${what}`,
    run: async (name: string, user: User) => {
      await begin(name, user);
      const before = await IndexedDbStore.open(name, user);
      await before.appendDraft(CLIENT, 3, "three");
      await before.appendDraft(CLIENT, 4, "four");
      await before.close();
      await change(name, (table) => damage(table, `${user.fingerprint} 0`));
      const found: IndexedDbDamage[] = [];
      const store = await IndexedDbStore.open(name, user, { onDamaged: (one) => found.push(one) });
      same([found[0]?.operations, found[0]?.unsent, found.length], [operations.length, unsent, 1]);
      const { own, drafts: left } = await store.load();
      same([own[0]?.length, own.length, left], [operations.length, 2, []]);
      same(await store.read(CLIENT, 0, 10, 1000), operations);
      await store.appendDraft(own[1]?.client ?? "", 0, "next");
      await store.close();
      const again = await IndexedDbStore.open(name, user, { onDamaged: (one) => found.push(one) });
      same([(await again.load()).drafts, found.length], [["next"], 1]);
      await again.close();
    },
  })),
  {
    name: "finds the operation whose value the browser has lost, and no other error is damage",
    run: async (name, user) => {
      await begin(name, user);
      const { getAll } = IDBObjectStore.prototype;
      const found: IndexedDbDamage[] = [];
      const open = () => IndexedDbStore.open(name, user, { onDamaged: (one) => found.push(one) });
      const failWith = (error: string) => {
        IDBObjectStore.prototype.getAll = function (range, ...rest) {
          const fails = this.name === "operations" && includes(range, [CLIENT, 2]);
          if (fails) throw new DOMException("failed to read a large value", error);
          return getAll.call(this, range, ...rest);
        };
      };
      try {
        failWith("UnknownError");
        const failed = await open().then(
          () => "",
          (error: unknown) => (error instanceof DOMException ? error.name : ""),
        );
        same([failed, found], ["UnknownError", []]);
        failWith("DataError");
        const store = await open();
        same([found[0]?.operations, found[0]?.unsent], [2, 1]);
        same(await store.read(CLIENT, 0, 2, 1000), ["zero", "one"]);
        await store.close();
      } finally {
        IDBObjectStore.prototype.getAll = getAll;
      }
    },
  },
  {
    name: "reads no operation in the place of one that is lost while the store is open",
    run: async (name, user) => {
      await begin(name, user);
      const store = await IndexedDbStore.open(name, user);
      await change(name, (table) => table("operations").delete([CLIENT, 1]));
      for (const first of [0, 1]) {
        const outcome = await store
          .read(CLIENT, first, 2, 1000)
          .catch((error: Error) => error.name);
        same(outcome, "StoreDamaged");
      }
      same(await store.read(CLIENT, 2, 1, 1000), ["two"]);
      await store.close();
    },
  },
  ...["cut", "overwritten", "removed"].map((what) => ({
    name: `says that what was received is damaged where a large value of it was ${what}`,
    run: async (name: string, user: User) => {
      const store = await IndexedDbStore.open(name, user);
      await store.receive(someCursor(OTHER, 1), ["zero", "one"]);
      // Of what repeats, Chromium keeps a short form.
      const random = crypto.getRandomValues(new Uint8Array(49_152));
      await store.receive(someCursor(OTHER, 3), ["two", toBase64url(random).repeat(4)]);
      await store.receive(someCursor(OTHER, 4), ["four"]);
      same((await store.readReceived(OTHER, 2, 0)).payloads, ["two"]);
      const damaged = await fetch(`/${what}`, { method: "POST" });
      if ((await damaged.json()) === 0) throw new Error("Chromium has no large values");
      const read = (first: number) =>
        store.readReceived(OTHER, first, 0).then(
          ({ payloads }) => payloads,
          (error: Error) => error.name,
        );
      same([await read(2), await read(3)], ["StoreDamaged", "StoreDamaged"]);
      same([await read(0), await read(1), await read(4)], [["zero"], ["one"], ["four"]]);
      await store.forget(OTHER, someCursor(OTHER, 1));
      await store.receive(someCursor(OTHER, 2), ["two"]);
      same(await read(2), ["two"]);
      await store.close();
    },
  })),
  {
    name: "takes over a damaged slot that a tab has left before tabs shared a log",
    run: async (name, user) => {
      const first = await IndexedDbStore.open(name, user);
      await first.close();
      await change(name, (table) => {
        putLog(table, `${user.fingerprint} 1`, CLIENT, ["zero", "one", "two"]);
        table("own").put({ slot: `${user.fingerprint} 1`, place: 0, client: CLIENT, length: "x" });
      });
      const found: IndexedDbDamage[] = [];
      const store = await IndexedDbStore.open(name, user, { onDamaged: (one) => found.push(one) });
      const [left, ...rest] = await store.abandoned();
      same([found.length, rest.length], [1, 0]);
      same(await left?.read(CLIENT, 0, 10, 1000), ["zero", "one", "two"]);
      await left?.close();
      await store.close();
    },
  },
  {
    name: "leaves no slot locked and no connection open where one of several cannot be opened",
    run: async (name, user) => {
      const store = await IndexedDbStore.open(name, user);
      await change(name, (table) => {
        putLog(table, `${user.fingerprint} 1`, "one", ["unsent"]);
        putLog(table, `${user.fingerprint} 2`, "two", ["unsent"]);
      });
      const { getAll } = IDBObjectStore.prototype;
      const { close } = IDBDatabase.prototype;
      let closed = 0;
      try {
        IDBDatabase.prototype.close = function () {
          closed++;
          close.call(this);
        };
        IDBObjectStore.prototype.getAll = function (range, ...rest) {
          const fails = this.name === "operations" && includes(range, ["two", 0]);
          if (fails) throw new DOMException("failed to read a large value", "UnknownError");
          return getAll.call(this, range, ...rest);
        };
        const outcome = await store.abandoned().catch((error: Error) => error.name);
        same([outcome, closed], ["UnknownError", 2]);
      } finally {
        IDBObjectStore.prototype.getAll = getAll;
        IDBDatabase.prototype.close = close;
      }
      const left = await store.abandoned();
      same(left.length, 2);
      for (const one of [...left, store]) await one.close();
    },
  },
];

/** A slot with three operations, of which one is acknowledged, and a cursor. */
async function begin(name: string, user: User): Promise<void> {
  const store = await IndexedDbStore.open(name, user);
  await store.begin(CLIENT);
  await store.append(CLIENT, 0, ["zero", "one", "two"]);
  await store.acknowledge(CLIENT, 1);
  await store.receive(someCursor(OTHER, 0), ["theirs"]);
  await store.close();
}
