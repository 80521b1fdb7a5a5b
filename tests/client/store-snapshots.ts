/** The contract of a store, as far as it is about the snapshot that it keeps. */
import type { Store } from "../../client/stores/store.ts";
import { A, B, cursor, type StoreCase, same } from "./store-case.ts";

/** The snapshot in a store, with its payload. */
async function snapshotIn(store: Store): Promise<unknown> {
  const { snapshot } = await store.load();
  return [snapshot, await store.readSnapshot()];
}

const named = (client: string, index: number, isLoaded: boolean) => ({ client, index, isLoaded });

export const snapshotCases: readonly StoreCase[] = [
  {
    name: "keeps no snapshot at first, and then the last one, when it is closed and opened again",
    async run({ open }) {
      const store = await open();
      same(await snapshotIn(store), [undefined, undefined]);
      await store.keepSnapshot({ client: B, index: 3, payload: "first" }, true);
      same(await snapshotIn(store), [named(B, 3, true), "first"]);
      const payload = "x".repeat(300_000);
      await store.keepSnapshot({ client: A, index: 8, payload }, true);
      same(await snapshotIn(store), [named(A, 8, true), payload]);
      await store.close();
      const again = await open();
      same(await snapshotIn(again), [named(A, 8, true), payload]);
      await again.close();
    },
  },
  {
    name: "records that the app was given the state of the snapshot",
    async run({ open }) {
      const store = await open();
      await store.keepSnapshot({ client: B, index: 3, payload: "state" }, false);
      same(await snapshotIn(store), [named(B, 3, false), "state"]);
      await store.close();
      const again = await open();
      same(await snapshotIn(again), [named(B, 3, false), "state"]);
      await again.snapshotLoaded();
      same(await snapshotIn(again), [named(B, 3, true), "state"]);
      await again.close();
      const last = await open();
      same(await snapshotIn(last), [named(B, 3, true), "state"]);
      await last.close();
    },
  },
  {
    name: "deletes its snapshot on request, and keeps everything else",
    async run({ open }) {
      const store = await open();
      await store.begin(A);
      await store.append(A, 0, ["zero"]);
      await store.receive(cursor(B, 0), ["other"]);
      await store.keepSnapshot({ client: B, index: 0, payload: "state" }, true);
      await store.keepSnapshot(undefined, true);
      same(await snapshotIn(store), [undefined, undefined]);
      await store.snapshotLoaded();
      await store.close();
      const again = await open();
      same(await snapshotIn(again), [undefined, undefined]);
      same(await again.read(A, 0, 1, 0), ["zero"]);
      same((await again.readReceived(B, 0, 0)).payloads, ["other"]);
      await again.close();
    },
  },
];
