/** A note: a document of the user's own, or one in a space, which is a key that several people have. */
import { YjsProvider } from "@sync-server/client/yjs";
import { applyUpdate, encodeStateAsUpdate } from "yjs";
import { identityOf, newSpace } from "./keys.js";
import { openDocuments } from "./sync.js";

/** Opens a note of the documents of the user's own, or of a space. */
export async function openNote(own, name, space) {
  const mine = await new YjsProvider(own, name).whenLoaded;
  if (space === undefined) {
    return { name, space, documents: own, doc: mine.doc, close: async () => mine.destroy() };
  }
  const { documents, doc, close } = await openSpace(space);
  // What a device of the user's writes before it knows of the space. Yjs takes nothing twice.
  const stop = follow(mine.doc, doc);
  return {
    name,
    space,
    documents,
    doc,
    close: () => {
      stop();
      mine.destroy();
      return close();
    },
  };
}

/** Makes a space that has the text of a note. */
export async function shareNote({ doc }) {
  const space = await newSpace();
  const copy = await openSpace(space);
  applyUpdate(copy.doc, encodeStateAsUpdate(doc));
  await copy.close();
  return space;
}

/**
 * Moves a note from a space to a new one: with the old key alone, nobody reads what is written from
 * then on. The old log is erased last, so that nothing can be lost. Waits for the server.
 *
 * @param keep stores the new key where the user's other devices find it; `ends` is the space that is
 *   to be erased, until it is
 */
export async function moveNote({ ends: _, ...space }, keep) {
  const next = await newSpace();
  const [from, to] = await Promise.all([openSpace(space), openSpace(next)]);
  try {
    await from.documents.client.sync();
    follow(from.doc, to.doc);
    await to.documents.flush();
    await to.documents.client.sync();
    await keep({ ...next, ends: space });
    await from.documents.client.erase();
    await keep(next);
  } finally {
    await Promise.all([from.close(), to.close()]);
  }
  return next;
}

/** Erases a space; once more, if it was interrupted. Fails while the server is out of reach. */
export async function endSpace(space) {
  const { documents, close } = await openSpace(space);
  try {
    await documents.client.erase();
  } finally {
    await close();
  }
}

async function openSpace(space) {
  const documents = await openDocuments(await identityOf(space));
  const { doc } = await new YjsProvider(documents, "note").whenLoaded;
  return { documents, doc, close: () => documents.close() };
}

/** Brings what one document has, and gets, into another one, until the function it returns is called. */
function follow(from, to) {
  const bring = (update) => applyUpdate(to, update);
  bring(encodeStateAsUpdate(from));
  from.on("update", bring);
  return () => from.off("update", bring);
}
