/** The hooks on a server, where nothing is opened, and with documents that are open already. */
import { SyncDocuments } from "@sync-server/client/documents";
import { createIdentity } from "@sync-server/client/identity";
import { MemoryStore } from "@sync-server/client/memory";
import { useDocument, useSync, useSyncStatus } from "@sync-server/client/react";
import { YjsProvider } from "@sync-server/client/yjs";
import { createElement } from "react";
import { renderToString } from "react-dom/server";

declare const process: { readonly argv: readonly string[] };

const [url = ""] = process.argv.slice(2);
const { identity } = await createIdentity("a passphrase for tests", { bits: 2048 });
const open = () => SyncDocuments.open({ url, identity, store: new MemoryStore() });
const opened = await open();

function App() {
  const { documents } = useSync(open);
  const status = useSyncStatus(documents ?? opened);
  const provider = useDocument(documents, "note", (on, name) => new YjsProvider(on, name));
  return `${status?.state}, ${provider?.status ?? "no document"}`;
}

await opened.client.sync();
console.log(`react: ${renderToString(createElement(App))}`);
await opened.close();
