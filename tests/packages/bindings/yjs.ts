/** Two devices that edit a document of Yjs, and a third that gets it from the log. */
import { SyncDocuments } from "@sync-server/client/documents";
import { createIdentity } from "@sync-server/client/identity";
import { MemoryStore } from "@sync-server/client/memory";
import { YjsProvider } from "@sync-server/client/yjs";
import * as Y from "yjs";

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

const [laptop, phone] = [await open(), await open()];
const [one, other] = [new YjsProvider(laptop, "note"), new YjsProvider(phone, "note")];
const elsewhere = new Y.Doc();
elsewhere.getText("text").insert(0, "Buy milk. ");
const text = one.doc.getText("text");
for (const character of "Feed the cat.") text.insert(text.length, character);
await sync(laptop, phone);
other.disconnect();
other.doc.getText("text").insert(0, "First: ");
new YjsProvider(phone, "note", elsewhere).destroy();
other.connect();
await sync(phone, laptop);
if (one.doc.getText("text").toString() !== other.doc.getText("text").toString()) {
  throw new Error("the devices differ");
}
const tablet = await open();
const provider = new YjsProvider(tablet, "note", undefined, { connect: false });
provider.connect();
await sync(tablet);
await Promise.all([provider.whenLoaded, provider.whenSynced, provider.doc.whenLoaded]);
const length = provider.doc.getText("text").length;
console.log(`yjs: ${length} characters, ${provider.status}`);
await Promise.all([laptop.close(), phone.close(), tablet.close()]);
