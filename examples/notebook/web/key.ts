/** The user's key in this browser: created or imported, stored, and forgotten. */

import { createIdentity, importIdentity, type NewIdentity } from "../../../client/identity.ts";
import type { Identity } from "../../../client/index.ts";
import { forgetIdentity, loadIdentity, saveIdentity } from "../../../client/indexeddb.ts";
import { keyInLink, withoutWords } from "../key-text.ts";
import { askToPersist, ifAllowed, withStorage } from "./browser.ts";
import { find, hideError, showError, showWhileChecked } from "./dom.ts";
import { joinBy, takeLaterPairingLinks, takePairingLink } from "./join.ts";

/** The name of the databases and of the channel between tabs. */
export const NAME = "notebook";

/** Where `localStorage` has the key as text. Earlier keys have a time behind it. */
const TEXT = `${NAME} key`;

/** Set in `localStorage` where the key came from another device. */
const IMPORTED = `${NAME} imported`;

/** Set in `localStorage` until the user has saved a key that was created here. */
const UNSAVED = `${NAME} unsaved`;

/** Bytes of a file that can have a key. A recovery sheet has the most. */
const MAX_FILE = 1024 * 1024;

const NOT_REPLACED =
  "This browser has a notebook already, and keeps it. For that of the other device, use “Forget this device” " +
  "first, and open the code again.";

export interface UserKey {
  readonly identity: Identity;
  /** The key as text, protected by a passphrase, for other devices; empty if the browser lost it. */
  readonly text: string;
  /** Whether there is a copy elsewhere, as far as the user says. */
  readonly isSaved: boolean;
}

/**
 * The key stored in this browser, or else the one that the user creates or imports now.
 *
 * @param onAsk called if there is none
 * @param onNew called once a key is stored, so that other tabs use it too
 */
export async function openKey(onAsk: () => void, onNew: () => void): Promise<UserKey> {
  takeLaterPairingLinks();
  const { identity, text } = await withStorage(async () => ({
    identity: await loadIdentity(NAME),
    text: storedText(),
  }));
  if (identity !== undefined) {
    // A notebook that is here is not replaced.
    takeLinkedKey();
    if (takePairingLink() !== undefined) showError(NOT_REPLACED);
    const isSaved = localStorage.getItem(UNSAVED) === null;
    return { identity, text: localStorage.getItem(TEXT) ?? "", isSaved };
  }
  onAsk();
  const linked = takeLinkedKey();
  const pairing = takePairingLink();
  const welcome = find("welcome", HTMLElement);
  // A browser may delete a part of what it stores, and this text may be the only copy of the key.
  find("import-key", HTMLTextAreaElement).value = text === "" ? linked : text;
  find("left-over", HTMLElement).hidden = text === "";
  offerBothWays(text !== "" || linked !== "");
  welcome.hidden = false;
  if (text === "" && linked !== "") find("import-passphrase", HTMLInputElement).focus();
  const key = (text === "" && (await joined(pairing))) || (await askForKey());
  onNew();
  await askToPersist();
  welcome.hidden = true;
  return key;
}

/** The key that another device gives, if the page was opened by its code. */
async function joined(link: string | undefined): Promise<UserKey | undefined> {
  if (link === undefined) return undefined;
  const ways = ["create-section", "import-section"].map((id) => find(id, HTMLElement));
  const shown = ways.filter((way) => !way.hidden);
  for (const way of shown) way.hidden = true;
  try {
    // The other device has the key as well.
    const saved = (key: NewIdentity) => ({ ...key, isSaved: true });
    const key = await joinBy(link, (key) => withStorage(() => store(saved(key))));
    return key && saved(key);
  } finally {
    for (const way of shown) way.hidden = false;
  }
}

/** Shows one of the two forms, with a button that leads to the other one. */
function offerBothWays(hasKey: boolean): void {
  const show = (hasKey: boolean) => {
    hideError();
    find("create-section", HTMLElement).hidden = hasKey;
    find("import-section", HTMLElement).hidden = !hasKey;
  };
  find("have-key", HTMLButtonElement).addEventListener("click", () => {
    show(true);
    find("import-key", HTMLTextAreaElement).focus();
  });
  find("have-none", HTMLButtonElement).addEventListener("click", () => {
    show(false);
    find("create-passphrase", HTMLInputElement).focus();
  });
  const input = find("import-file", HTMLInputElement);
  input.addEventListener("change", async () => {
    const file = input.files?.[0];
    if (file === undefined) return;
    if (file.size > MAX_FILE) throw new Error("the file is too large for a key");
    const text = await file.text();
    // A recovery sheet of the command line has other words as well.
    find("import-key", HTMLTextAreaElement).value = withoutWords(text).trim() || text;
    find("import-passphrase", HTMLInputElement).focus();
  });
  show(hasKey);
}

/** Returns the key that another device put into the address, and removes it from the address. */
function takeLinkedKey(): string {
  const key = keyInLink(location.hash);
  if (key === undefined) return "";
  history.replaceState(null, "", location.pathname + location.search);
  return key;
}

/** Whether the key came from another device, which is to be expected to have stored something. */
export function isImported(): boolean {
  return localStorage.getItem(IMPORTED) !== null;
}

/** Records that the user has saved the key: a reload no longer asks for that. */
export function markSaved(): void {
  localStorage.removeItem(UNSAVED);
}

/** Deletes the key and all notes, once all tabs have closed the database. */
export async function forgetAll(): Promise<void> {
  await forgetIdentity(NAME);
  dropText(localStorage.getItem(TEXT));
  localStorage.removeItem(IMPORTED);
  localStorage.removeItem(UNSAVED);
  indexedDB.deleteDatabase(NAME);
}

/** Shows the key as text if there is one, to be copied from a page that does not work. */
export function offerStoredKey(): void {
  const text = ifAllowed(storedText);
  if (text === undefined || text === "") return;
  find("stored-key", HTMLTextAreaElement).value = text;
  find("welcome", HTMLElement).hidden = true;
  find("rescue", HTMLElement).hidden = false;
}

/** Stores a key. No other key is lost: not one that another tab stored, nor an earlier text. */
async function store({ identity, text, isSaved }: UserKey): Promise<void> {
  await navigator.locks.request(TEXT, async () => {
    if ((await loadIdentity(NAME)) !== undefined) {
      throw new Error("another tab has opened a notebook: reload this page");
    }
    const earlier = localStorage.getItem(TEXT);
    dropText(text);
    if (earlier !== null && earlier !== text) {
      localStorage.setItem(`${TEXT} ${new Date().toISOString()}`, earlier);
    }
    localStorage.setItem(TEXT, text);
    const [set, unset] = isSaved ? [IMPORTED, UNSAVED] : [UNSAVED, IMPORTED];
    localStorage.setItem(set, "yes");
    localStorage.removeItem(unset);
    await saveIdentity(NAME, identity);
  });
}

/** The newest text of a key; empty if there is none. */
function storedText(): string {
  const newest = textNames().sort().at(-1) ?? TEXT;
  return localStorage.getItem(TEXT) ?? localStorage.getItem(newest) ?? "";
}

/** Deletes a text wherever it is stored. */
function dropText(text: string | null): void {
  for (const name of textNames()) {
    if (localStorage.getItem(name) === text) localStorage.removeItem(name);
  }
}

function textNames(): string[] {
  return Object.keys(localStorage).filter((name) => name.startsWith(TEXT));
}

/** Resolves once one of the two forms gave a key, and it is stored. */
function askForKey(): Promise<UserKey> {
  const { promise, resolve } = Promise.withResolvers<UserKey>();
  const onSubmit = (
    form: HTMLFormElement,
    passphrase: HTMLInputElement,
    shown: HTMLInputElement,
    work: () => Promise<UserKey>,
  ) => {
    showWhileChecked(shown, passphrase);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      hideError();
      const buttons = document.querySelectorAll<HTMLButtonElement>("#welcome button");
      for (const button of buttons) button.disabled = true;
      form.ariaBusy = "true";
      try {
        const key = await work();
        await withStorage(() => store(key));
        resolve(key);
        form.reset();
      } catch (error) {
        showError(error);
        passphrase.focus();
      } finally {
        for (const button of buttons) button.disabled = false;
        form.ariaBusy = null;
      }
    });
  };
  const newPassphrase = find("create-passphrase", HTMLInputElement);
  const newShown = find("create-shown", HTMLInputElement);
  onSubmit(find("create", HTMLFormElement), newPassphrase, newShown, async () => ({
    ...(await createIdentity(newPassphrase.value)),
    isSaved: false,
  }));
  const passphrase = find("import-passphrase", HTMLInputElement);
  const text = find("import-key", HTMLTextAreaElement);
  const shown = find("import-shown", HTMLInputElement);
  onSubmit(find("import", HTMLFormElement), passphrase, shown, async () => ({
    identity: await importIdentity(text.value, passphrase.value),
    text: text.value,
    isSaved: true,
  }));
  return promise;
}
