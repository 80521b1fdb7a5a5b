/** An app in a browser: keeps its key and its operations in IndexedDB. The title says how it went. */
import { SyncClient, textOf } from "@sync-server/client";
import { createIdentity } from "@sync-server/client/identity";
import { IndexedDbStore, loadIdentity, saveIdentity } from "@sync-server/client/indexeddb";
import { MemoryStore } from "@sync-server/client/memory";

const url = new URLSearchParams(location.search).get("server") ?? "";

async function run(): Promise<string> {
  const created = await createIdentity("a passphrase for tests", { bits: 2048 });
  await saveIdentity("app", created.identity);
  const identity = await loadIdentity("app");
  if (identity === undefined) throw new Error("the identity is not kept");
  const store = await IndexedDbStore.open("app", identity);
  const writer = await SyncClient.open({ url, identity, store, receive: () => undefined });
  await writer.append("Buy milk.");
  await writer.sync();
  const received: string[] = [];
  const reader = await SyncClient.open({
    url,
    identity,
    store: new MemoryStore(),
    receive: (operations) => {
      received.push(...operations.map(({ data }) => textOf(data)));
    },
  });
  await reader.sync();
  await Promise.all([writer.close(), reader.close()]);
  return received.join("\n");
}

run().then(
  (text) => {
    document.title = `received: ${text}`;
  },
  (error: unknown) => {
    document.title = `failed: ${error}`;
  },
);
