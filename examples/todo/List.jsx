/** What is to be done, and the line for more. */
import { useDocument, useSyncStatus } from "@sync-server/client/react";
import { useRow, useSortedRowIds } from "tinybase/ui-react";
import { bind, wordsFor } from "./sync.js";

export function List({ documents, chooser }) {
  const store = useDocument(documents, "todo", bind)?.store;
  const [words, isWrong] = wordsFor(useSyncStatus(documents));
  return (
    <>
      <header>
        {chooser}
        <output className={isWrong ? "wrong" : ""}>{words}</output>
      </header>
      <main>{store ? <Items store={store} /> : <p className="wait">Opening …</p>}</main>
    </>
  );
}

function Items({ store }) {
  const ids = useSortedRowIds("todo", "at", false, 0, undefined, store);

  function add(event) {
    event.preventDefault();
    const { text } = Object.fromEntries(new FormData(event.target));
    if (text.trim() === "") return;
    store.setRow("todo", crypto.randomUUID(), { text: text.trim(), done: false, at: Date.now() });
    event.target.reset();
  }

  return (
    <>
      <form className="add" onSubmit={add}>
        <input name="text" aria-label="What is to be done?" placeholder="What is to be done?" />
        <button type="submit" className="primary">
          Add
        </button>
      </form>
      {ids.length === 0 && <p className="wait">Nothing to do.</p>}
      <ul>
        {ids.map((id) => (
          <Item key={id} id={id} store={store} />
        ))}
      </ul>
    </>
  );
}

function Item({ id, store }) {
  const { text, done } = useRow("todo", id, store);
  return (
    <li>
      <label>
        <input
          type="checkbox"
          checked={done === true}
          onChange={({ target }) => store.setCell("todo", id, "done", target.checked)}
        />
        <span>{text}</span>
      </label>
      <button type="button" aria-label={`Delete ${text}`} onClick={() => store.delRow("todo", id)}>
        ×
      </button>
    </li>
  );
}
