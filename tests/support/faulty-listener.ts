/**
 * Run by a test on each runtime: an app of which a listener of a provider for Yjs throws. It prints the
 * events that its other listeners were told, and the errors that were uncaught.
 */

import { SyncDocuments } from "../../client/documents.ts";
import { MemoryStore } from "../../client/memory.ts";
import { YjsProvider } from "../../client/yjs.ts";
import { newIdentity } from "./private-keys.ts";

const [url = ""] = process.argv.slice(2);
const uncaught: string[] = [];
process.on("uncaughtException", ({ message }) => uncaught.push(message));
const identity = await newIdentity();
const documents = await SyncDocuments.open({ url, identity, store: new MemoryStore() });
const provider = new YjsProvider(documents, "note");
const events: unknown[] = [];
provider.once("status", () => {
  throw new Error("a fault of the app");
});
provider.once("status", ({ status }) => events.push(status));
provider.once("synced", (isSynced) => events.push(isSynced));
await provider.whenSynced;
await documents.close();
console.log(JSON.stringify({ events, uncaught }));
