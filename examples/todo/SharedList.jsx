/** A list with a key of its own: everyone with the key sees and changes it. */
import { useSync } from "@sync-server/client/react";
import { useState } from "react";
import { identityOf, newList } from "./keys.js";
import { List } from "./List.jsx";
import { ShareSheet } from "./ShareSheet.jsx";
import { bind, openDocuments } from "./sync.js";

export function SharedList({ list, chooser, onLeave, onRenew }) {
  const { documents, error } = useSync(async () => openDocuments(await identityOf(list)));
  const [isShown, setShown] = useState(false);
  if (error !== undefined) return <p role="alert">{error.message}</p>;
  const share = (
    <button type="button" onClick={() => setShown(true)}>
      Share
    </button>
  );
  return (
    <>
      <List
        documents={documents}
        chooser={
          <>
            {chooser}
            {share}
          </>
        }
      />
      {isShown && (
        <ShareSheet
          list={list}
          onClose={() => setShown(false)}
          onLeave={onLeave}
          onRenew={async () => onRenew(await renewed(list, documents))}
        />
      )}
    </>
  );
}

/**
 * The same list under a new key: with the old one alone, nobody reads what is written from then on.
 * The old log is erased at the end, once the new one is on the server, so that nothing can be lost.
 */
async function renewed(list, documents) {
  const next = await newList(list.title);
  const from = bind(documents, "todo");
  const copies = await openDocuments(await identityOf(next));
  const to = bind(copies, "todo");
  await Promise.all([from.whenSynced, to.whenLoaded]);
  to.store.setContent(from.store.getContent());
  await copies.flush();
  await copies.client.sync();
  await copies.close();
  await documents.client.erase();
  return next;
}
