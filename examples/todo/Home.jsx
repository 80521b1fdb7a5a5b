/** The lists of a user: which there are, is a document of the user's own. */
import { useDocument, useSync } from "@sync-server/client/react";
import { useEffect, useState } from "react";
import { useTable } from "tinybase/ui-react";
import { DeviceSheet } from "./DeviceSheet.jsx";
import { newList, setKept, sharedList } from "./keys.js";
import { List } from "./List.jsx";
import { endList, moveList } from "./move.js";
import { SharedList } from "./SharedList.jsx";
import { bind, openDocuments } from "./sync.js";

const OWN = "";

/** @param shared a list that a link has brought */
export function Home({ user, shared }) {
  const { documents, error } = useSync(() => openDocuments(user.identity));
  const store = useDocument(documents, "lists", bind)?.store;
  if (error !== undefined) return <p role="alert">{error.message}</p>;
  if (store === undefined) return <p className="wait">Opening …</p>;
  return <Lists user={user} documents={documents} store={store} shared={shared} />;
}

function Lists({ user, documents, store, shared }) {
  const lists = useTable("lists", store);
  const [current, setCurrent] = useState(OWN);
  const [isKept, setIsKept] = useState(user.isKept);
  const [isShown, setShown] = useState(!user.isKept);
  const [wrong, setWrong] = useState("");

  function add({ id, ...list }) {
    store.setRow("lists", id, list);
    setCurrent(id);
  }

  // biome-ignore lint/correctness/useExhaustiveDependencies: a link is followed once
  useEffect(() => {
    if (shared === undefined) return;
    sharedList(shared).then(add, (error) => setWrong(error.message));
  }, []);

  // Else the browser may delete the lists when space is short.
  useEffect(() => void navigator.storage.persist(), []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: where a move was interrupted, at the start
  useEffect(() => {
    endMoved(documents, store).catch((error) => setWrong(error.message));
  }, []);

  function choose({ target }) {
    if (target.value !== "new") return setCurrent(target.value);
    const title = prompt("What is the list for? Others can be given a link to it.")?.trim();
    if (title) void newList(title).then(add, (error) => setWrong(error.message));
  }

  /** Also shown here what went wrong, since the sheet is gone once the list has moved. */
  async function renew(list) {
    try {
      await moveList(list, async (next) => {
        store.delRow("lists", list.id);
        add(next);
        await documents.flush();
        await documents.client.sync();
      });
    } catch (error) {
      setWrong(error.message);
      throw error;
    }
  }

  function closeDevices() {
    setKept();
    setIsKept(true);
    setShown(false);
  }

  const list = lists[current] && { ...lists[current], id: current };
  const chooser = (
    <>
      <select aria-label="List" value={list ? current : OWN} onChange={choose}>
        <option value={OWN}>My list</option>
        {Object.entries(lists).map(([id, { title }]) => (
          <option key={id} value={id}>
            {title}
          </option>
        ))}
        <option value="new">New shared list …</option>
      </select>
      <button type="button" onClick={() => setShown(true)}>
        Devices
      </button>
    </>
  );

  return (
    <>
      {list ? (
        <SharedList
          key={current}
          list={list}
          chooser={chooser}
          onLeave={() => {
            store.delRow("lists", current);
            setCurrent(OWN);
          }}
          onRenew={() => renew(list)}
        />
      ) : (
        <List documents={documents} chooser={chooser} />
      )}
      {wrong && <p role="alert">{wrong}</p>}
      {isShown && (
        <DeviceSheet user={user} documents={documents} isKept={isKept} onClose={closeDevices} />
      )}
    </>
  );
}

/** Ends the lists under their old keys that moved to new ones and were not erased then. */
async function endMoved(documents, store) {
  for (const [id, { ends }] of Object.entries(store.getTable("lists"))) {
    if (ends === undefined) continue;
    await documents.whenSynced;
    await endList(JSON.parse(ends));
    if (store.hasRow("lists", id)) store.delCell("lists", id, "ends");
  }
}
