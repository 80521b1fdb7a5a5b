/** A list with a key of its own: everyone with the key sees and changes it. */
import { useSync } from "@sync-server/client/react";
import { useState } from "react";
import { identityOf } from "./keys.js";
import { List } from "./List.jsx";
import { ShareSheet } from "./ShareSheet.jsx";
import { openDocuments } from "./sync.js";

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
          onRenew={onRenew}
        />
      )}
    </>
  );
}
