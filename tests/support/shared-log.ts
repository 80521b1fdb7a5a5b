/** What tabs have in common of an IndexedDB store, and what each has for itself, as cases for a page. */
import type { Identity } from "../../client/index.ts";
import { type IndexedDbDamage, IndexedDbStore } from "../../client/indexeddb.ts";
import type { Store } from "../../client/stores/store.ts";
import { A, ALL, B, C, cursor, fails, same, stateOf } from "../client/store-case.ts";
import { change, putLog } from "./slot-rows.ts";

type User = Pick<Identity, "fingerprint">;

export interface SharedLogCase {
  readonly name: string;
  /** Throws where the store does not do what the name says. */
  readonly run: (database: string, user: User) => Promise<void>;
}

export const sharedLogCases: readonly SharedLogCase[] = [
  {
    name: "gives a second tab the same log and another slot, and a later tab the first slot",
    run: async (name, user) => {
      const first = await IndexedDbStore.open(name, user);
      await first.begin(A);
      await first.append(A, 0, ["zero"]);
      const second = await IndexedDbStore.open(name, user);
      same([first.slot, second.slot], [0, 1]);
      same(await second.read(A, 0, ALL, ALL), ["zero"]);
      await first.close();
      const third = await IndexedDbStore.open(name, user);
      same(third.slot, 0);
      await second.close();
      await third.close();
    },
  },
  {
    name: "says once another tab has changed the log, and refuses what follows an older state",
    run: async (name, user) => {
      const [first, second] = await two(name, user);
      await first.begin(A);
      same(await changed(second), true);
      await second.shared?.reload();
      same([await changed(first), await changed(second)], [false, false]);
      await second.append(A, 0, ["zero"]);
      same([await changed(first), await changed(second)], [true, false]);
      await fails(first.acknowledge(A, 1));
      await fails(first.move({ from: A, length: 0, to: B, payloads: ["zero"] }));
      await fails(first.receive(cursor(C, 0), ["theirs"]));
      const [own] = (await stateOf(second)).own;
      same([own?.client, own?.length, own?.acknowledged], [A, 1, 0]);
      await first.shared?.reload();
      await first.acknowledge(A, 1);
      await first.close();
      await second.close();
    },
  },
  {
    name: "lets one tab after the other change the log",
    run: async (name, user) => {
      const [first, second] = await two(name, user);
      const steps: string[] = [];
      const task = (tab: string) => async () => {
        steps.push(`${tab} begins`);
        await new Promise((resolve) => setTimeout(resolve, 20));
        steps.push(`${tab} ends`);
      };
      await Promise.all([
        first.shared?.exclusive(task("first")),
        second.shared?.exclusive(task("second")),
      ]);
      same(steps, ["first begins", "first ends", "second begins", "second ends"]);
      await first.close();
      await second.close();
    },
  },
  {
    name: "keeps for each tab what was delivered in it",
    run: async (name, user) => {
      const [first, second] = await two(name, user);
      await first.begin(A);
      await first.append(A, 0, ["zero"]);
      await first.acknowledge(A, 1, { index: 1, position: 0 });
      await first.receive(cursor(C, 0), ["theirs"]);
      const deliveredIn = async (store: Store) => {
        const { own, delivered = [] } = await store.load();
        return [own[0]?.delivered, delivered.map(({ client, index }) => [client, index])];
      };
      same(await deliveredIn(first), [{ index: 1, position: 0 }, [[C, 0]]]);
      same(await deliveredIn(second), [{ index: 0, position: 0 }, []]);
      await second.shared?.recordDelivered([cursor(C, 0)]);
      await second.shared?.reload();
      await second.acknowledge(A, 1, { index: 0, position: 1 });
      same(await changed(first), false);
      await first.close();
      await second.close();
      const again = await two(name, user);
      same(await deliveredIn(again[0]), [{ index: 1, position: 0 }, [[C, 0]]]);
      same(await deliveredIn(again[1]), [{ index: 0, position: 1 }, [[C, 0]]]);
      for (const store of again) await store.close();
    },
  },
  {
    name: "forgets what was delivered in a tab once that is given a state",
    run: async (name, user) => {
      const [first, second] = await two(name, user);
      await first.begin(A);
      await first.append(A, 0, ["zero"]);
      await first.acknowledge(A, 1, { index: 1, position: 0 });
      await first.receive(cursor(B, 0), ["theirs"]);
      for (const tab of [first, second]) {
        await tab.shared?.recordDelivered([cursor(B, 0), cursor(C, 5)]);
      }
      await first.shared?.restartDelivered([cursor(C, 2)]);
      const deliveredIn = async (store: Store) => {
        const { own, delivered = [] } = await store.load();
        return [own[0]?.delivered, delivered.map(({ client, index }) => [client, index])];
      };
      same(await deliveredIn(first), [{ index: 1, position: 0 }, [[C, 2]]]);
      same((await deliveredIn(second))[1], [
        [C, 5],
        [B, 0],
      ]);
      await first.close();
      await second.close();
    },
  },
  {
    name: "goes on with the first slot of a database from before tabs shared a log",
    run: async (name, user) => {
      const slot = `${user.fingerprint} 0`;
      await makeVersion2(name, (table) => {
        putLog(table, slot, A, ["zero", "one"]);
        const counts = { length: 2, acknowledged: 1, highWater: 1 };
        const delivered = { index: 1, position: 0 };
        table("own").put({ slot, place: 0, client: A, ...counts, delivered });
        table("drafts").put({ client: A, index: 2, payload: "two" });
        table("received").put({ slot, client: C, first: 0, payloads: ["theirs"] });
        table("cursors").put({ slot, ...cursor(C, 0) });
        putLog(table, `${user.fingerprint} 1`, B, ["unsent"]);
      });
      const store = await IndexedDbStore.open(name, user);
      const { own, drafts, cursors, delivered } = await store.load();
      same(
        [own.length, own[0]?.acknowledged, own[0]?.delivered],
        [1, 1, { index: 1, position: 0 }],
      );
      same([drafts, cursors, delivered], [["two"], [cursor(C, 0)], [cursor(C, 0)]]);
      same(await store.read(A, 0, ALL, ALL), ["zero", "one"]);
      same((await store.readReceived(C, 0, ALL)).payloads, ["theirs"]);
      const second = await IndexedDbStore.open(name, user);
      same((await second.load()).delivered, []);
      const [left] = await store.abandoned();
      same(await left?.read(B, 0, ALL, ALL), ["unsent"]);
      same((await second.abandoned()).length, 0);
      await left?.acknowledge(B, 1);
      await left?.close();
      same((await second.abandoned()).length, 0);
      await store.close();
      await second.close();
    },
  },
  {
    name: "repairs a damaged log only if no other tab has it open",
    run: async (name, user) => {
      const found: IndexedDbDamage[] = [];
      const open = () => IndexedDbStore.open(name, user, { onDamaged: (one) => found.push(one) });
      const first = await open();
      await first.begin(A);
      await first.append(A, 0, ["zero", "one"]);
      await change(name, (table) => table("operations").delete([A, 1]));
      const second = await open();
      same(found.length, 0);
      await first.close();
      await second.close();
      const third = await open();
      same([found.length, found[0]?.operations, found[0]?.unsent], [1, 1, 1]);
      await third.close();
    },
  },
];

async function two(name: string, user: User): Promise<[IndexedDbStore, IndexedDbStore]> {
  return [await IndexedDbStore.open(name, user), await IndexedDbStore.open(name, user)];
}

async function changed(store: Store): Promise<boolean | undefined> {
  return store.shared?.isChanged();
}

/** A database as version 2 of its tables was. */
async function makeVersion2(
  name: string,
  fill: (table: (name: string) => IDBObjectStore) => void,
): Promise<void> {
  const keys = {
    own: ["slot", "place"],
    operations: ["client", "index"],
    drafts: ["client", "index"],
    received: ["slot", "client", "first"],
    cursors: ["slot", "client"],
  };
  await new Promise<void>((resolve, reject) => {
    const request = indexedDB.open(name, 2);
    request.onerror = () => reject(request.error);
    request.onupgradeneeded = () => {
      for (const [table, keyPath] of Object.entries(keys)) {
        request.result.createObjectStore(table, { keyPath });
      }
      const { transaction } = request;
      if (transaction !== null) fill((table) => transaction.objectStore(table));
    };
    request.onsuccess = () => {
      request.result.close();
      resolve();
    };
  });
}
