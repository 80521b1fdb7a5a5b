/** Moves lists to new keys, to go on without those who have the old ones. */
import { identityOf, newList } from "./keys.js";
import { bind, openDocuments } from "./sync.js";

/**
 * With the old key alone, nobody reads what is written from then on. The old log is erased last, so
 * that nothing can be lost. Waits for the server.
 *
 * @param keep stores the new list where the user's other devices find it; `ends` is the old one, as
 *   JSON, until it is erased
 */
export async function moveList(list, keep) {
  const next = await newList(list.title);
  const [from, to] = await Promise.all([list, next].map(open));
  try {
    await from.documents.client.sync();
    to.store.setContent(from.store.getContent());
    await to.documents.flush();
    await to.documents.client.sync();
    const { id, key, passphrase } = list;
    await keep({ ...next, ends: JSON.stringify({ id, key, passphrase }) });
    await from.documents.client.erase();
    await keep(next);
  } finally {
    await Promise.all([from.documents.close(), to.documents.close()]);
  }
}

/** Erases a list; once more, if it was interrupted. Fails while the server is out of reach. */
export async function endList(list) {
  const documents = await openDocuments(await identityOf(list));
  try {
    await documents.client.erase();
  } finally {
    await documents.close();
  }
}

async function open(list) {
  const documents = await openDocuments(await identityOf(list));
  const { store } = await bind(documents, "todo").whenLoaded;
  return { documents, store };
}
