/** The notebook as a web page. All devices with the same key share one notebook. */
import { type OperationName, StoreDamaged, SyncClient } from "../../../client/index.ts";
import { IndexedDbStore } from "../../../client/indexeddb.ts";
import { noteData, noteOf } from "../notes.ts";
import { refusalText } from "../refusal-text.ts";
import { checkBrowser, withStorage } from "./browser.ts";
import { CiphertextView } from "./ciphertext-view.ts";
import { showDamage } from "./damage.ts";
import { DevicesView } from "./devices-view.ts";
import { copyOnClick, find, hideError, setText, showError } from "./dom.ts";
import { offerErasure, showErased } from "./erase.ts";
import { InviteForm } from "./invite.ts";
import { untilSaved } from "./keep-key.ts";
import { forgetAll, NAME, offerStoredKey, openKey, type UserKey } from "./key.ts";
import { KeyView } from "./key-view.ts";
import { NeverStored } from "./never-stored.ts";
import { NotesList } from "./notes-list.ts";
import { keepForOffline } from "./offline.ts";
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
  const client = await openClient(key, line);
  showClient(client);
  showFingerprint(key);
  find("forget", HTMLButtonElement).addEventListener("click", async () => {
    const { pending } = client.status;
    const notes = pending === 1 ? "1 note" : `${pending} notes`;
    const loss = pending === 0 ? "" : ` ${notes} not sent yet will be lost.`;
    if (!confirm(`Delete the key and all notes in this browser?${loss}`)) return;
    await client.close();
    await forgetAll();
    onKeyChange();
    location.reload();
  });
  offerSheet();
  find("notebook", HTMLElement).hidden = false;
  find("note", HTMLTextAreaElement).focus();
}

/** Opens the client, and shows its notes and its status. */
async function openClient(key: UserKey, line: StatusLine): Promise<SyncClient> {
  const { identity } = key;
  const notes = new NotesList();
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
  let receivedCount = 0;
  // The status can change before there is a client.
  let tooLarge: () => readonly OperationName[] = () => [];
  let showSynced: () => void = () => undefined;
  const url = new URL(".", location.href);
  const neverStored = new NeverStored();
  // The status says what fails.
  const invite = new InviteForm(url, identity, () => client.sync().catch(() => undefined));
  const onErased = () => {
    line.showErased();
    ciphertexts.showErased();
    stopWriting();
    showErased();
  };
  const client = await SyncClient.open({
    url,
    identity,
    store,
    signal: closing.signal,
    receive: (entries, _, isOwn) => {
      if (isOwn) return notes.addOwn(entries.map(noteOf));
      notes.addOthers(entries.map(noteOf), hasSynced);
      receivedCount += entries.length;
      const count = receivedCount === 1 ? "1 note" : `${receivedCount.toLocaleString("en")} notes`;
      if (!hasSynced) line.showProgress(`${count} received`);
      // Once they are stored. The status need not change for that.
      else setTimeout(() => showSynced(), STORED_MS);
    },
    onStatus: (now) => {
      line.show(now);
      invite.show(now);
      notes.setPending(now.pending, tooLarge());
      // A store that fails is reported by `onLost`.
      ciphertexts.refresh().catch(() => undefined);
      if (now.state === "refused" && now.final) onErased();
      if (now.state !== "synced") return;
      hasSynced = true;
      showSynced();
      line.showProgress("");
    },
    onRefusal: (refusal) => showError(refusalText(refusal)),
    onClientChange: async () => {
      showClient(client);
      notes.clearOwn();
      await addStored(client, notes);
    },
  });
  tooLarge = () => client.tooLarge;
  const [devices, keyText] = [new DevicesView(client, notes), new KeyView(key, client, url)];
  showSynced = () => {
    devices.show().catch(showError);
    ciphertexts.refresh().catch(showError);
    keyText.refresh().catch(showError);
    if (hasSynced) neverStored.show(client).catch(showError);
  };
  showSynced();
  line.show(client.status);
  invite.show(client.status);
  if (!(await addStored(client, notes))) {
    // The server sends again what this browser has damaged of others.
    const again = client.sync().then(() => addStored(client, notes));
    // The status says so.
    again.catch(() => undefined);
  }
  offerErasure(client, onErased);
  offerRecoverySheet(key, url);
  onWrite(async (text) => {
    await withStorage(() => client.append(noteData(text, Date.now())));
  });
  return client;
}

/**
 * Adds the notes in this browser. Where one is damaged, says so, leaves out those after it, and returns
 * false.
 */
async function addStored(client: SyncClient, notes: NotesList): Promise<boolean> {
  let isWhole = true;
  try {
    for await (const entries of client.entries()) {
      const [first] = entries;
      if (first !== undefined && client.isOwn(first)) notes.addOwn(entries.map(noteOf));
      else notes.addOthers(entries.map(noteOf), false);
    }
  } catch (error) {
    if (!(error instanceof StoreDamaged)) throw error;
    isWhole = false;
    showError(
      `Not all notes are shown, because this browser has damaged one (${error.message}). They are on ` +
        "your other devices, if they had been sent: copy the key, add another device with it, and " +
        "forget this one.",
    );
  }
  notes.setPending(client.status.pending, client.tooLarge);
  return isWhole;
}

function onWrite(write: (text: string) => Promise<void>): void {
  const form = find("write", HTMLFormElement);
  const note = find("note", HTMLTextAreaElement);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = note.value.trim();
    if (text === "" || note.readOnly) return;
    note.value = "";
    note.focus();
    try {
      hideError();
      await write(text);
    } catch (error) {
      note.value = text;
      showError(error);
    }
  });
  note.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
}

/** Takes no more notes. What is typed stays, to be copied. */
function stopWriting(): void {
  find("note", HTMLTextAreaElement).readOnly = true;
  find("add", HTMLButtonElement).disabled = true;
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
