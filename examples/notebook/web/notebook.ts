/** The notebook as a web page. All devices with the same key share one notebook. */
import { type Status, StoreDamaged, type SyncClient } from "../../../client/index.ts";
import { IndexedDbStore } from "../../../client/indexeddb.ts";
import { Notebook } from "../notebook.ts";
import { refusalText } from "../refusal-text.ts";
import { checkBrowser, withStorage } from "./browser.ts";
import { CiphertextView } from "./ciphertext-view.ts";
import { showDamage } from "./damage.ts";
import { nameOfBrowser } from "./device-name.ts";
import { DevicesView } from "./devices-view.ts";
import { copyOnClick, find, setText, showError } from "./dom.ts";
import { Drafts } from "./drafts.ts";
import { offerErasure, showErased } from "./erase.ts";
import { InviteForm } from "./invite.ts";
import { untilSaved } from "./keep-key.ts";
import { forgetAll, NAME, offerStoredKey, openKey, type UserKey } from "./key.ts";
import { KeyView } from "./key-view.ts";
import { NeverStored } from "./never-stored.ts";
import { NEW, NoteForm, stopWriting } from "./note-form.ts";
import { NotesList } from "./notes-list.ts";
import { keepForOffline } from "./offline.ts";
import { offerPairing } from "./pair.ts";
import { offerRecoverySheet } from "./recovery.ts";
import { offerSheet } from "./sheet.ts";
import { StatusLine } from "./status-line.ts";

/** Within this time, the client has stored what it has delivered. */
const STORED_MS = 1000;

async function main(line: StatusLine): Promise<void> {
  checkBrowser();
  void keepForOffline();
  const tabs = new BroadcastChannel(NAME);
  // The key was stored or deleted.
  tabs.addEventListener("message", () => location.reload());
  const onKeyChange = () => tabs.postMessage(null);
  const key = await openKey(() => line.showText("No key yet"), onKeyChange);
  if (!key.isSaved) {
    line.showText("Save your key");
    await untilSaved(key, new URL(".", location.href), onKeyChange);
  }
  line.showText("Opening the notebook…");
  const notebook = await openNotebook(key, line);
  showClient(notebook.client);
  showFingerprint(key);
  find("forget", HTMLButtonElement).addEventListener("click", async () => {
    const { pending } = notebook.status;
    const notes = pending === 1 ? "1 note" : `${pending} notes`;
    const loss = pending === 0 ? "" : ` ${notes} not sent yet will be lost.`;
    if (!confirm(`Delete the key and all notes in this browser?${loss}`)) return;
    await notebook.close();
    Drafts.forget();
    await forgetAll();
    onKeyChange();
    location.reload();
  });
  offerSheet();
  find("notebook", HTMLElement).hidden = false;
  find("note", HTMLTextAreaElement).focus();
}

/** Opens the notebook, and shows its notes and its status. */
async function openNotebook(key: UserKey, line: StatusLine): Promise<Notebook> {
  const { identity } = key;
  const drafts = new Drafts(identity);
  const closing = new AbortController();
  const store = await withStorage(() =>
    IndexedDbStore.open(NAME, identity, {
      onDamaged: showDamage,
      onLost: (error) => {
        line.stop(new Error(`${error.message}: reload this page`, { cause: error }));
        closing.abort(error);
        stopWriting();
      },
    }),
  );
  const ciphertexts = new CiphertextView(identity, store);
  let hasSynced = false;
  let hasFailed = false;
  let receivedCount = 0;
  // The status can change before there is a notebook.
  let opened: { readonly notebook: Notebook; readonly list: NotesList } | undefined;
  let showSynced: () => void = () => undefined;
  const url = new URL(".", location.href);
  const neverStored = new NeverStored();
  // The status says what fails.
  const invite = new InviteForm(url, identity, () => notebook.client.sync().catch(() => undefined));
  const onErased = () => {
    line.showErased();
    ciphertexts.showErased();
    stopWriting();
    showErased();
  };
  const showStatus = (now: Status) => {
    line.show(now);
    invite.show(now);
    opened?.list.refresh();
  };
  const notebook = await Notebook.open({
    url,
    identity,
    store,
    device: nameOfBrowser(),
    signal: closing.signal,
    onNotes: (_, isOwn, added) => {
      if (opened === undefined) return;
      const { notebook, list } = opened;
      list.refresh();
      // What is on this device already comes first.
      if (isOwn || !notebook.documents.isLoaded) return;
      if (hasSynced) {
        list.announce(added);
        // Once they are stored. The status need not change for that.
        setTimeout(() => showSynced(), STORED_MS);
        return;
      }
      receivedCount += added.length;
      const count = receivedCount === 1 ? "1 note" : `${receivedCount.toLocaleString("en")} notes`;
      line.showProgress(`${count} received`);
    },
    onStatus: (now) => {
      showStatus(now);
      // What was lost is said already, and nothing can be read any more.
      if (closing.signal.aborted) return;
      // A store that fails is reported by `onLost`.
      ciphertexts.refresh().catch(() => undefined);
      if (now.state === "refused" && now.final) onErased();
      if (!hasFailed && (now.state === "refused" || now.state === "offline")) {
        hasFailed = true;
        showUnreadable(notebook.client).catch(showError);
      }
      if (now.state !== "synced") return;
      hasSynced = true;
      showSynced();
      line.showProgress("");
    },
    onRefusal: (refusal) => showError(refusalText(refusal, (id) => nameOfDevice(notebook, id))),
    onError: (error) => line.report(error),
    onClientChange: () => showClient(notebook.client),
  });
  const list = new NotesList(notebook, drafts);
  opened = { notebook, list };
  const [devices, keyText] = [new DevicesView(notebook), new KeyView(key, notebook.client)];
  showSynced = () => {
    devices.show().catch(showError);
    ciphertexts.refresh().catch(showError);
    keyText.refresh().catch(showError);
    if (hasSynced) neverStored.show(notebook.client).catch(showError);
  };
  showSynced();
  showStatus(notebook.status);
  offerErasure(notebook.client, onErased);
  offerRecoverySheet(key, url);
  offerPairing(key, notebook.client, url);
  const form = new NoteForm(drafts, async (text) => {
    await withStorage(() => notebook.write(text));
  });
  await showDrafts(drafts, form, notebook, list);
  return notebook;
}

/** Shows what was typed and not saved: at an earlier time, and from now on in other tabs. */
async function showDrafts(
  drafts: Drafts,
  form: NoteForm,
  notebook: Notebook,
  list: NotesList,
): Promise<void> {
  const show = (name: string, text: string | undefined) => {
    if (name === NEW) form.show(text ?? "");
    else list.showDraft(name, text);
  };
  drafts.onChange = show;
  const all = await drafts.all();
  if (all.size === 0) return;
  const [text] = [all.get(NEW)];
  if (text !== undefined) show(NEW, text);
  await notebook.whenRead();
  for (const [name, text] of all) if (name !== NEW) show(name, text);
}

/** Says where this browser has damaged a note, after which the others are not shown. */
async function showUnreadable(client: SyncClient): Promise<void> {
  try {
    for await (const entries of client.entries()) void entries;
  } catch (error) {
    if (!(error instanceof StoreDamaged)) throw error;
    showError(
      `Not all notes are shown, because this browser has damaged one (${error.message}). They are on ` +
        "your other devices, if they had been sent: copy the key, add another device with it, and " +
        "forget this one.",
    );
  }
}

function nameOfDevice({ devices }: Notebook, client: string): string {
  const [name, id] = [devices.find(client), client.slice(0, 8)];
  return name === undefined ? `device ${id}` : `${name} (${id})`;
}

function showClient({ client }: SyncClient): void {
  setText(find("client", HTMLElement), client.slice(0, 8));
}

function showFingerprint({ identity: { fingerprint } }: UserKey): void {
  const code = find("fingerprint", HTMLElement);
  setText(code, fingerprint);
  const select = () => getSelection()?.selectAllChildren(code);
  copyOnClick(find("copy-fingerprint", HTMLButtonElement), () => fingerprint, select);
}

const line = new StatusLine();
find("slow", HTMLElement).hidden = true;
addEventListener("unhandledrejection", ({ reason }) => line.report(reason));
addEventListener("error", ({ error, message }) => line.report(error ?? message));
// A module that throws fires no `unhandledrejection`.
await main(line).catch((error: unknown) => {
  line.stop(error);
  offerStoredKey();
});
