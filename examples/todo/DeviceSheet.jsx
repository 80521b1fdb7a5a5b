/** Adds a device of the user's: by a link, or by the text of the key. */
import { withHeads } from "@sync-server/client/identity";
import { useEffect, useState } from "react";
import { linkToDevice } from "./keys.js";
import { Copy, Link, Sheet } from "./Sheet.jsx";

/** @param isKept whether the user has the text of the key elsewhere: nothing else comes before that */
export function DeviceSheet({ user: { identity, text }, documents, isKept, onClose }) {
  const [shown, setShown] = useState({ text, code: "" });
  const [isSaved, setSaved] = useState(isKept);
  useEffect(() => {
    const { client } = documents;
    // With what this device has, a new one knows what to expect of the server.
    void Promise.all([client.heads(), client.stateCode()]).then(async ([heads, code]) => {
      setShown({ text: await withHeads(text, identity, heads), code });
    });
  }, [documents, identity, text]);

  function save() {
    const href = `data:text/plain,${encodeURIComponent(shown.text)}`;
    Object.assign(document.createElement("a"), { href, download: "todo-key.txt" }).click();
    setSaved(true);
  }

  return (
    <Sheet title={isKept ? "Your devices" : "Keep your key"} canClose={isSaved} onClose={onClose}>
      {isKept && (
        <>
          <p>
            Point the camera of a phone here, or open the link on another device of yours. It asks
            for your passphrase.
          </p>
          <Link label="Link to another device" address={linkToDevice(text)} />
        </>
      )}
      <p>
        Save this text, or keep it in a password manager. With your passphrase it opens your lists,
        and nothing else does when this device is lost.
      </p>
      <textarea readOnly rows={6} aria-label="Text of the key" value={shown.text} />
      <p className="row">
        <button type="button" onClick={save}>
          Save as a file
        </button>
        <Copy text={shown.text} onCopied={() => setSaved(true)}>
          Copy the text
        </Copy>
      </p>
      {isKept && (
        <p>
          Devices that have the same show the same code: <b>{shown.code}</b>
        </p>
      )}
      <form method="dialog">
        <button type="submit" className="primary" disabled={!isSaved}>
          {isKept ? "Close" : "I have kept the key"}
        </button>
      </form>
    </Sheet>
  );
}
