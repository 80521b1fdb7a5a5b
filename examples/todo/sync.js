/** The documents of a key: those of the user, and those of each shared list. */
import { SyncDocuments } from "@sync-server/client/documents";
import { IndexedDbStore } from "@sync-server/client/indexeddb";
import { TinyBaseProvider } from "@sync-server/client/tinybase";

const url = new URLSearchParams(location.search).get("server") ?? "http://localhost:8080";

export async function openDocuments(identity) {
  const store = await IndexedDbStore.open(`todo ${identity.fingerprint}`, identity);
  return SyncDocuments.open({ url, identity, store });
}

export function bind(documents, name) {
  return new TinyBaseProvider(documents, name);
}

/** In words, and whether something is wrong. */
export function wordsFor(status) {
  const { state, code, why } = status ?? {};
  if (state === undefined) return ["Opening …", false];
  if (state === "synced") return ["Everything is on the server.", false];
  if (state === "offline") return ["Offline. Your list is kept on this device.", false];
  if (code === "erased") return ["This list has ended: ask for a new link.", true];
  return state === "refused" ? [why, true] : ["Sending …", false];
}
