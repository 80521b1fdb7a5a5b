/**
 * An app on two devices of one user: what one appends, the other receives. `process` is declared by
 * hand, so that the check of the types shows that an app needs none of Node's.
 */
import { type Entry, SyncClient, textOf } from "@sync-server/client";
import { FolderStore } from "@sync-server/client/folder";
import { createIdentity, importIdentity } from "@sync-server/client/identity";
import { MemoryStore } from "@sync-server/client/memory";

declare const process: { readonly argv: readonly string[] };

const [url = "", folder = ""] = process.argv.slice(2);
const passphrase = "a passphrase for tests";
const { identity, text } = await createIdentity(passphrase, { bits: 2048 });
const received: string[] = [];
const laptop = await SyncClient.open({
  url,
  identity,
  store: await FolderStore.open(folder, identity),
  receive: (_entries, _cursor, isOwn) => {
    if (!isOwn) throw new Error("the phone sends nothing");
  },
});
const phone = await SyncClient.open({
  url,
  identity: await importIdentity(text, passphrase),
  store: new MemoryStore(),
  receive: (entries: readonly Entry[]) => {
    received.push(...entries.map(({ data }) => textOf(data)));
  },
});
await laptop.append("Buy milk.");
await laptop.sync();
await phone.sync();
await Promise.all([laptop.close(), phone.close()]);
console.log(received.join("\n"));
