/** The documents of a key: those of the user, and those of each space. */
import { SyncDocuments } from "@sync-server/client/documents";
import { IndexedDbStore } from "@sync-server/client/indexeddb";
import { mergeUpdates } from "@sync-server/client/yjs";

const url = new URLSearchParams(location.search).get("server") ?? "http://localhost:8080";

export async function openDocuments(identity) {
  return SyncDocuments.open({
    url,
    identity,
    store: await IndexedDbStore.open(`notes ${identity.fingerprint}`, identity),
    // In a snapshot, notes that are not open are joined as well.
    merge: mergeUpdates,
  });
}

/** In words, and whether something is wrong. */
export function wordsFor({ state, code, why }, isShared) {
  if (state === "synced") return ["Everything is on the server."];
  if (state === "offline") return ["Offline. Your words are kept on this device."];
  if (code === "erased" && isShared) return ["This note has ended: ask for a new link.", true];
  return state === "refused" ? [why, true] : ["Sending …"];
}
