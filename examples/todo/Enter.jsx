/** The first page: a new user, or one that another device has. */
import { useState } from "react";
import { enter } from "./keys.js";

/** @param text the text of a key, from a link of the user's other device */
export function Enter({ text, onUser }) {
  const [hasKey, setHasKey] = useState(text !== undefined);
  const [wrong, setWrong] = useState("");
  const [isBusy, setBusy] = useState(false);

  async function submit(event) {
    event.preventDefault();
    const { passphrase, text = "" } = Object.fromEntries(new FormData(event.target));
    setBusy(true);
    try {
      onUser(await enter(passphrase, text));
    } catch (error) {
      setWrong(error.message);
      setBusy(false);
    }
  }

  return (
    <form className="enter" onSubmit={submit}>
      <h1>{hasKey ? "Add this device" : "To do"}</h1>
      <p>Lists, alone or with others. Encrypted on your devices: the server cannot read them.</p>
      <label>
        Passphrase
        <input
          name="passphrase"
          type="password"
          autoComplete={hasKey ? "current-password" : "new-password"}
          minLength={8}
          required
        />
      </label>
      {!hasKey && <p className="hint">At least 8 characters. Nobody can recover it.</p>}
      {hasKey && (
        <label>
          Text of the key
          <textarea name="text" rows={4} spellCheck={false} defaultValue={text} required />
        </label>
      )}
      <p role="alert">{wrong}</p>
      <button type="submit" className="primary" disabled={isBusy}>
        {isBusy ? "Opening …" : hasKey ? "Add this device" : "Start"}
      </button>
      <button type="button" className="quiet" onClick={() => setHasKey(!hasKey)}>
        {hasKey ? "I have no key yet" : "I have a key already"}
      </button>
    </form>
  );
}
