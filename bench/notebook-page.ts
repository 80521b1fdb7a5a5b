/** Runs in a page of Chromium, for `bench/notebook.ts`: reads the documents of a notebook, and shows nothing. */
import { SyncDocuments } from "../client/documents.ts";
import { importIdentity } from "../client/identity.ts";
import { IndexedDbStore } from "../client/indexeddb.ts";
import { mergeUpdates } from "../client/yjs.ts";

declare const given: { readonly url: string; readonly key: string; readonly passphrase: string };

const identity = await importIdentity(given.key, given.passphrase);

/** How long until everything is here, in milliseconds, and how many documents that is. */
async function read(): Promise<{ readonly ms: number; readonly count: number }> {
  const begin = performance.now();
  const names = new Set<string>();
  let isSynced: () => void = () => undefined;
  const synced = new Promise<void>((resolve) => {
    isSynced = resolve;
  });
  const documents = await SyncDocuments.open({
    url: given.url,
    identity,
    store: await IndexedDbStore.open("read", identity),
    merge: mergeUpdates,
    onUpdates: (updates) => {
      for (const { name } of updates) names.add(name);
    },
    onStatus: ({ state }) => {
      if (state === "synced") isSynced();
    },
  });
  await synced;
  const ms = performance.now() - begin;
  await documents.close();
  return { ms, count: names.size };
}

Object.assign(globalThis, { read });
