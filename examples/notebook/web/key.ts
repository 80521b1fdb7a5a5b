/** The key in this browser: made or brought from another device, kept, and forgotten. */

import { forgetIdentity, loadIdentity, saveIdentity } from "../../../client/identity/indexeddb.ts";
import { createIdentity, type Identity, importIdentity } from "../../../client/index.ts";
import { complain, find, messageOf } from "./dom.ts";

/** The name of the databases. */
export const NAME = "notebook";

/** The key as text, which a passphrase protects; for other devices. */
const TEXT = `${NAME} key`;

/** What there is of a user in this browser. */
export interface KeptKey {
  readonly identity: Identity;
  readonly text: string;
  /** Whether it was made just now: nobody has a copy. */
  readonly isNew: boolean;
}

/**
 * The key that is kept here, or that the person at the page makes or brings now; of the latter,
 * `onNew` tells other tabs, which then take it up as well.
 */
export async function key(onNew: () => void): Promise<KeptKey> {
  const identity = await loadIdentity(NAME);
  if (identity !== undefined) {
    return { identity, text: localStorage.getItem(TEXT) ?? "", isNew: false };
  }
  const welcome = find("welcome", HTMLElement);
  welcome.hidden = false;
  const made = await asked();
  localStorage.setItem(TEXT, made.text);
  await saveIdentity(NAME, made.identity);
  onNew();
  // It may ask the person; whatever the answer is, the notebook works.
  void navigator.storage.persist();
  welcome.hidden = true;
  return made;
}

/** Forgets the key and all notes; tabs that are open have to let go of them. */
export async function forgetAll(): Promise<void> {
  await forgetIdentity(NAME);
  localStorage.removeItem(TEXT);
  indexedDB.deleteDatabase(NAME);
}

/** Resolves once one of the two forms was sent off with success. */
function asked(): Promise<KeptKey> {
  const forms = {
    create: find("create", HTMLFormElement),
    import: find("import", HTMLFormElement),
  };
  const { promise, resolve } = Promise.withResolvers<KeptKey>();
  const take = (
    form: HTMLFormElement,
    passphrase: HTMLInputElement,
    work: () => Promise<KeptKey>,
  ) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      complain("");
      const buttons = document.querySelectorAll<HTMLButtonElement>("#welcome button");
      for (const button of buttons) button.disabled = true;
      try {
        resolve(await work());
        form.reset();
      } catch (error) {
        complain(messageOf(error));
        passphrase.focus();
      } finally {
        for (const button of buttons) button.disabled = false;
      }
    });
  };
  const created = find("create-passphrase", HTMLInputElement);
  take(forms.create, created, async () => ({
    ...(await createIdentity(created.value)),
    isNew: true,
  }));
  const imported = find("import-passphrase", HTMLInputElement);
  const text = find("import-key", HTMLTextAreaElement);
  take(forms.import, imported, async () => ({
    identity: await importIdentity(text.value, imported.value),
    text: text.value,
    isNew: false,
  }));
  return promise;
}
