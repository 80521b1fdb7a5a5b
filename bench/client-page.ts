/** Runs in a page of Chromium, for `bench/client.ts`: first syncs, and how long each took. */
import { importIdentity } from "../client/identity.ts";
import type { Store } from "../client/index.ts";
import { IndexedDbStore } from "../client/indexeddb.ts";
import { MemoryStore } from "../client/memory.ts";
import { firstSync } from "./lib/first-sync.ts";

declare const given: {
  readonly url: string;
  readonly key: string;
  readonly passphrase: string;
  readonly entries: number;
};
declare const report: (value: unknown) => Promise<unknown>;

const identity = await importIdentity(given.key, given.passphrase);

/** The seconds that a first sync into a store takes. */
async function sync(store: Store): Promise<number> {
  const since = performance.now();
  const count = await firstSync(given.url, identity, store);
  if (count !== given.entries) throw new Error(`received ${count} entries`);
  return (performance.now() - since) / 1000;
}

await report({
  memory: await sync(new MemoryStore()),
  indexedDb: await sync(await IndexedDbStore.open("bench", identity)),
});
