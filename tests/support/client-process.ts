/**
 * Run by a test on each runtime: a device that appends without end, in a folder, and says what is
 * durable. It ends when it is killed.
 */

import { importIdentity } from "../../client/identity.ts";
import { SyncClient, textOf } from "../../client/index.ts";
import { FolderStore } from "../../client/stores/folder.ts";

const [url = "", folder = "", text = "", passphrase = ""] = process.argv.slice(2);
const identity = await importIdentity(text, passphrase);
const client = await SyncClient.open({
  url,
  identity,
  store: await FolderStore.open(folder, identity),
  receive: (entries, _, isOwn) => {
    if (isOwn) return;
    for (const { data } of entries) console.log(`received ${textOf(data)}`);
  },
});
for (let i = 0; ; i++) {
  const appended = `${client.client} ${process.pid} ${i}`;
  await client.append(appended);
  console.log(`appended ${appended}`);
}
