/** Shares a list with other people, and stops sharing it with some. */
import { useState } from "react";
import { linkToList } from "./keys.js";
import { Link, Sheet } from "./Sheet.jsx";

export function ShareSheet({ list, onClose, onLeave, onRenew }) {
  const [words, setWords] = useState("");

  async function renew() {
    setWords("Moving the list …");
    try {
      await onRenew();
    } catch (error) {
      setWords(error.message);
    }
  }

  return (
    <Sheet title={`Share “${list.title}”`} onClose={onClose}>
      <p>
        Everyone with this link reads and changes the list, so send it to nobody else: it has the
        key.
      </p>
      <Link label="Link to the list" address={linkToList(list)} />
      <details>
        <summary>Stop sharing</summary>
        <p>
          A key cannot be taken back. With a new link, the list moves to a new key, and ends under
          the old one: send the link to those that stay. The others keep what they have seen.
        </p>
        <p className="row">
          <button type="button" onClick={renew}>
            Move to a new link
          </button>
          <button type="button" onClick={onLeave}>
            Leave the list
          </button>
        </p>
      </details>
      <p role="status">{words}</p>
      <form method="dialog">
        <button type="submit" className="primary">
          Close
        </button>
      </form>
    </Sheet>
  );
}
