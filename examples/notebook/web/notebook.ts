/** The page: a notebook that all devices with the same key share. */
import type { Store } from "../../../client/index.ts";
import { type Status, SyncClient } from "../../../client/index.ts";
import { IndexedDbStore } from "../../../client/stores/indexeddb.ts";
import { noteData, noteOf } from "../notes.ts";
import { complain, find, messageOf, say } from "./dom.ts";
import { forgetAll, type KeptKey, key, NAME } from "./key.ts";
import { NotesList } from "./notes-list.ts";
import { Stored } from "./stored.ts";

/** How often the server is asked for news, in milliseconds; a tab in the background asks less. */
const POLL_MS = 2000;

/** What tabs of this browser tell each other: there are new notes; a key has come or gone. */
type Told = "news" | "key";

async function main(): Promise<void> {
  if (!window.isSecureContext) {
    throw new Error(
      "browsers encrypt on pages that came over HTTPS or from localhost only: open this one there",
    );
  }
  const status = find("status", HTMLElement);
  say(status, "No key yet");
  const tabs = new BroadcastChannel(NAME);
  const tell = (told: Told) => tabs.postMessage(told);
  let hurry: () => void = () => undefined;
  tabs.addEventListener("message", ({ data }: MessageEvent<Told>) => {
    if (data === "key") location.reload();
    else hurry();
  });
  const kept = await key(() => tell("key"));
  const { identity } = kept;
  const notes = new NotesList();
  const stored = new Stored(identity);
  const store = await IndexedDbStore.open(NAME, identity);
  await addStored(store, stored);
  let begun = false;
  let hasNews = false;
  const client = await SyncClient.open({
    url: new URL(".", location.href),
    identity,
    store,
    // The page keeps nothing but what the store has: all of the others comes anew.
    cursors: [],
    pollInterval: POLL_MS,
    fetch: stored.fetch,
    receive: (operations) => notes.addOthers(operations.map(noteOf), begun),
    onStatus: (now) => {
      status.dataset.state = now.state;
      say(status, inWords(now));
      notes.wait(now.pending);
      if (now.state !== "synced") return;
      begun = true;
      if (hasNews) tell("news");
      hasNews = false;
    },
    onRefusal: ({ kind, client, index }) =>
      complain(
        `Note ${index} of device ${client.slice(0, 8)} and what follows is not shown: ${kind}.`,
      ),
    onClientChange: async () => {
      showClient(client);
      notes.clearOwn();
      await addOwn(client, notes);
    },
  });
  await addOwn(client, notes);
  // Failures stand in the status line.
  hurry = () => void client.sync().catch(() => undefined);
  addEventListener("online", hurry);
  document.addEventListener("visibilitychange", hurry);
  onWrite(async (text) => {
    const at = Date.now();
    const created = await client.append(noteData(text, at));
    hasNews = true;
    notes.addOwn([{ ...created, at, text }]);
  });
  showClient(client);
  showKey(kept);
  find("forget", HTMLButtonElement).addEventListener("click", async () => {
    const { pending } = client.status;
    const notSent = pending === 1 ? "1 note is" : `${pending} notes are`;
    const lost = pending === 0 ? "" : ` ${notSent} not sent yet, and will be lost.`;
    if (!confirm(`Forget the key and all notes in this browser?${lost}`)) return;
    await client.close();
    await forgetAll();
    tell("key");
    location.reload();
  });
  find("notebook", HTMLElement).hidden = false;
  find("note", HTMLTextAreaElement).focus();
}

/** Shows of this device's operations what the server has acknowledged. */
async function addStored(store: Store, stored: Stored): Promise<void> {
  const { own } = await store.load();
  for (const { client, acknowledged } of own) {
    stored.add(client, 0, await store.read(client, 0, acknowledged, Number.POSITIVE_INFINITY));
  }
}

async function addOwn(client: SyncClient, notes: NotesList): Promise<void> {
  for await (const operations of client.operations()) notes.addOwn(operations.map(noteOf));
  notes.wait(client.status.pending);
}

function onWrite(write: (text: string) => Promise<void>): void {
  const form = find("write", HTMLFormElement);
  const note = find("note", HTMLTextAreaElement);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = note.value.trim();
    if (text === "") return;
    note.value = "";
    note.focus();
    try {
      complain("");
      await write(text);
    } catch (error) {
      note.value = text;
      complain(messageOf(error));
    }
  });
  note.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
}

function showClient({ client }: SyncClient): void {
  say(find("client", HTMLElement), client.slice(0, 8));
}

function showKey({ identity, text, isNew }: KeptKey): void {
  const shown = find("key", HTMLTextAreaElement);
  const copy = find("copy", HTMLButtonElement);
  shown.value = text;
  find("device-details", HTMLDetailsElement).open = isNew;
  say(find("fingerprint", HTMLElement), identity.fingerprint.slice(0, 8));
  copy.addEventListener("click", async () => {
    // What is selected can be copied by hand, if the browser does not let the page do it.
    shown.select();
    await navigator.clipboard.writeText(text);
    say(copy, "Copied");
    say(find("news", HTMLElement), "Copied");
  });
}

/** A status, for a person. */
function inWords(status: Status): string {
  const { pending } = status;
  const notes = pending === 1 ? "1 note" : `${pending} notes`;
  if (status.state === "synced") return "Synced";
  if (status.state === "pending" && status.why === undefined) {
    return pending === 0 ? "Syncing…" : `Sending ${notes}…`;
  }
  const waiting = pending === 0 ? "" : ` ${notes} ${pending === 1 ? "waits" : "wait"} to be sent.`;
  const name = { pending: "Waiting", offline: "Offline", refused: "Refused" }[status.state];
  return `${name}: ${messageOf(status.why)}${waiting}`;
}

addEventListener("unhandledrejection", ({ reason }) => complain(messageOf(reason)));
await main();
