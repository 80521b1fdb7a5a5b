/** Adds a device of the user's: by a link, or by the text of the key. */
import { withHeads } from "@sync-server/client/identity";
import { useEffect, useState } from "react";
import { linkToDevice } from "./keys.js";
import { Link, Sheet } from "./Sheet.jsx";

export function DeviceSheet({ user: { identity, text }, documents, onClose }) {
  const [shown, setShown] = useState({ text, code: "" });
  useEffect(() => {
    const { client } = documents;
    // With what this device has, a new one knows what to expect of the server.
    void Promise.all([client.heads(), client.stateCode()]).then(async ([heads, code]) => {
      setShown({ text: await withHeads(text, identity, heads), code });
    });
  }, [documents, identity, text]);
  return (
    <Sheet title="Your devices" onClose={onClose}>
      <p>
        Point the camera of a phone here, or open the link on another device of yours. It asks for
        your passphrase.
      </p>
      <Link label="Link to another device" address={linkToDevice(text)} />
      <details>
        <summary>Text of the key, to keep</summary>
        <p>
          Print it, or keep it in a password manager. With your passphrase it opens your lists, and
          nothing else does when this device is lost.
        </p>
        <textarea readOnly rows={8} aria-label="Text of the key" value={shown.text} />
      </details>
      <p>
        Devices that have the same show the same code: <b>{shown.code}</b>
      </p>
      <form method="dialog">
        <button type="submit" className="primary">
          I have kept the key
        </button>
      </form>
    </Sheet>
  );
}
