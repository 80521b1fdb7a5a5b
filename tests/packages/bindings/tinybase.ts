/** Two devices with a store of TinyBase, and a third that gets it from the log. */
import { SyncDocuments } from "@sync-server/client/documents";
import { createIdentity } from "@sync-server/client/identity";
import { MemoryStore } from "@sync-server/client/memory";
import { TinyBaseProvider } from "@sync-server/client/tinybase";
import { createMergeableStore } from "tinybase/mergeable-store";

declare const process: { readonly argv: readonly string[] };

const [url = ""] = process.argv.slice(2);
const { identity } = await createIdentity("a passphrase for tests", { bits: 2048 });
const open = () => SyncDocuments.open({ url, identity, store: new MemoryStore(), batch: 0 });

async function sync(...devices: readonly SyncDocuments[]): Promise<void> {
  for (const documents of devices) {
    await documents.flush();
    await documents.client.sync();
  }
}

const [laptop, phone, tablet] = [await open(), await open(), await open()];
const before = createMergeableStore();
before.setRow("todos", "a", { title: "Buy milk", done: false });
const { store } = new TinyBaseProvider(laptop, "todo", before);
await sync(laptop, phone);
const other = new TinyBaseProvider(phone, "todo");
other.store.setCell("todos", "a", "done", true);
store.setCell("todos", "b", "title", "Feed the cat");
store.setValue("theme", "dark");
other.store.delCell("todos", "a", "title");
await sync(phone, laptop, phone);
const fresh = new TinyBaseProvider(tablet, "todo");
await sync(tablet);
const [contents] = [[store, other.store, fresh.store].map((one) => one.getJson())];
console.log(new Set(contents).size === 1 ? `tinybase: ${contents[0]}` : contents);
await Promise.all([laptop.close(), phone.close(), tablet.close()]);
