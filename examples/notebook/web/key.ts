/** The user's key in this browser: created or imported, stored, and forgotten. */
import { createIdentity, type Identity, importIdentity } from "../../../client/index.ts";
import { forgetIdentity, loadIdentity, saveIdentity } from "../../../client/indexeddb.ts";
import { find, hideError, showError } from "./dom.ts";

/** The name of the databases and of the channel between tabs. */
export const NAME = "notebook";

/** Where `localStorage` has the key as text. */
const TEXT = `${NAME} key`;

export interface UserKey {
  readonly identity: Identity;
  /** The key as text, protected by a passphrase, for other devices. */
  readonly text: string;
  /** Whether it was created just now, so that no copy exists. */
  readonly isNew: boolean;
}

/**
 * The key stored in this browser, or else the one that the user creates or imports now.
 *
 * @param onNew called once a key is stored, so that other tabs use it too
 */
export async function openKey(onNew: () => void): Promise<UserKey> {
  const identity = await loadIdentity(NAME);
  if (identity !== undefined) {
    return { identity, text: localStorage.getItem(TEXT) ?? "", isNew: false };
  }
  const welcome = find("welcome", HTMLElement);
  welcome.hidden = false;
  const key = await askForKey();
  localStorage.setItem(TEXT, key.text);
  await saveIdentity(NAME, key.identity);
  onNew();
  // The browser may ask the user; the notebook works whatever the answer is.
  void navigator.storage.persist();
  welcome.hidden = true;
  return key;
}

/** Deletes the key and all notes, once all tabs have closed the database. */
export async function forgetAll(): Promise<void> {
  await forgetIdentity(NAME);
  localStorage.removeItem(TEXT);
  indexedDB.deleteDatabase(NAME);
}

/** Resolves once one of the two forms gave a key. */
function askForKey(): Promise<UserKey> {
  const { promise, resolve } = Promise.withResolvers<UserKey>();
  const onSubmit = (
    form: HTMLFormElement,
    passphrase: HTMLInputElement,
    work: () => Promise<UserKey>,
  ) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      hideError();
      const buttons = document.querySelectorAll<HTMLButtonElement>("#welcome button");
      for (const button of buttons) button.disabled = true;
      try {
        resolve(await work());
        form.reset();
      } catch (error) {
        showError(error);
        passphrase.focus();
      } finally {
        for (const button of buttons) button.disabled = false;
      }
    });
  };
  const newPassphrase = find("create-passphrase", HTMLInputElement);
  onSubmit(find("create", HTMLFormElement), newPassphrase, async () => ({
    ...(await createIdentity(newPassphrase.value)),
    isNew: true,
  }));
  const passphrase = find("import-passphrase", HTMLInputElement);
  const text = find("import-key", HTMLTextAreaElement);
  onSubmit(find("import", HTMLFormElement), passphrase, async () => ({
    identity: await importIdentity(text.value, passphrase.value),
    text: text.value,
    isNew: false,
  }));
  return promise;
}
