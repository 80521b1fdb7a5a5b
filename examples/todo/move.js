/** Moves a list to a new key, to go on without those who have the old one. */
import { identityOf, newList } from "./keys.js";
import { bind, openDocuments } from "./sync.js";

/**
 * With the old key alone, nobody reads what is written from then on. The old log is erased last, so
 * that nothing can be lost. Waits for the server.
 *
 * @param keep stores the new list where the user's other devices find it
 */
export async function moveList(list, keep) {
  const next = await newList(list.title);
  const [from, to] = await Promise.all([list, next].map(open));
  try {
    await from.documents.client.sync();
    to.store.setContent(from.store.getContent());
    await to.documents.flush();
    await to.documents.client.sync();
    await keep(next);
    await from.documents.client.erase();
  } finally {
    await Promise.all([from.documents.close(), to.documents.close()]);
  }
}

async function open(list) {
  const documents = await openDocuments(await identityOf(list));
  const { store } = await bind(documents, "todo").whenLoaded;
  return { documents, store };
}
