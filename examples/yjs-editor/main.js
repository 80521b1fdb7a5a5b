/** Notes, each a document of Yjs, and one more document: which there are, and which of them are shared. */
import { YjsProvider } from "@sync-server/client/yjs";
import { applyUpdate, encodeStateAsUpdate } from "yjs";
import { editorOf } from "./editor.js";
import { enteredUser } from "./enter.js";
import { forgetSpace, joinSpace, takeLink } from "./keys.js";
import { endSpace, moveNote, openNote, shareNote } from "./note.js";
import { keepForOffline } from "./offline.js";
import { showDevices, showShare } from "./sheets.js";
import { openDocuments, wordsFor } from "./sync.js";

const [header, main, status, list] = ["header", "main", "#status", "#notes"].map((selector) =>
  document.querySelector(selector),
);

// One without an error is a notice of the browser, such as of a ResizeObserver.
addEventListener("error", ({ error }) => error && showTrouble(error.message));
addEventListener("unhandledrejection", ({ reason }) => showTrouble(reason.message));
// A link that is opened where the app is already changes nothing but what is behind `#`.
addEventListener("hashchange", () => location.reload());
// Elsewhere, the first page says that browsers do not encrypt there.
if (import.meta.env.PROD && isSecureContext) void keepForOffline();

const link = takeLink();
const user = await enteredUser(link.text);
// Else the browser may delete the notes when space is short.
void navigator.storage.persist();
const own = await openDocuments(user.identity);
const index = await new YjsProvider(own, "index").whenLoaded;
/** The titles of notes, and the spaces of those that are shared, by their names. */
const [titles, spaces] = ["titles", "spaces"].map((name) => index.doc.getMap(name));
/** The name of a new note, where there is none yet. */
let blank;
let note;
let editor;
/** Notes are opened one after the other. */
let opening = Promise.resolve();

header.hidden = main.hidden = false;
own.subscribe(showSync);
titles.observe(onTitles);
spaces.observe(onSpaces);
list.onchange = () => void open(list.value);
document.getElementById("new").onclick = () => void open(crypto.randomUUID());
document.getElementById("add").onclick = () => void showDevices({ documents: own, user });
document.getElementById("people").onclick = showPeople;
document.getElementById("delete").onclick = () => void remove(note);
const shared =
  link.space &&
  (await join(link.space).catch(({ message }) => showTrouble(`The link: ${message}`)));
await open(shared ?? lastNote());
if (!user.isKept) await showDevices({ documents: own, user });
await endMoved();

function open(name) {
  opening = opening.then(() => show(name)).catch(({ message }) => showTrouble(message));
  return opening;
}

async function show(name) {
  const before = note;
  const next = await openNote(own, name, spaces.get(name));
  // From here on without waiting, so that nothing is typed into an editor that is gone.
  const isSame = before?.name === name;
  // It has a new key: what was not sent under the old one comes along.
  if (isSame) applyUpdate(next.doc, encodeStateAsUpdate(before.doc));
  note = next;
  localStorage.setItem("notes last", name);
  const text = note.doc.getText("text");
  // Of the user's own notes, the device that is written on has the title set.
  text.observe((_, { local }) => (local || spaces.has(name)) && setTitle(name, text));
  if (spaces.has(name) && text.length > 0) setTitle(name, text);
  if (note.documents !== own) note.documents.subscribe(showSync);
  const hadFocus = editor?.hasFocus;
  const selection = isSame ? editor.state.selection.main : undefined;
  editor?.destroy();
  editor = editorOf(text, main, selection);
  if (hadFocus) editor.focus();
  onSpaces();
  showSync();
  await before?.close();
}

function setTitle(name, text) {
  const [line] = text.toString().trimStart().split("\n", 1);
  const title = line.slice(0, 60);
  if (titles.get(name) !== title) titles.set(name, title);
}

function isKnown(name) {
  return titles.has(name) || spaces.has(name);
}

function lastNote() {
  const last = localStorage.getItem("notes last");
  if (isKnown(last)) return last;
  const [first = spaces.keys().next().value] = titles.keys();
  if (first !== undefined) return first;
  blank = crypto.randomUUID();
  return blank;
}

/** A note may have been deleted, or the first ones of another device have come. */
function onTitles({ keysChanged }) {
  showList();
  const mayLeave = keysChanged.has(note?.name) || note?.name === blank;
  if (note !== undefined && mayLeave && !isKnown(note.name)) void open(lastNote());
}

/** A note may have got a key, or another one, or be left: by this window or by another device. */
function onSpaces() {
  showList();
  const id = spaces.get(note?.name)?.id;
  if (id !== note?.space?.id) void open(isKnown(note.name) ? note.name : lastNote());
}

/** Ends what notes were in before they moved, where that was interrupted. */
async function endMoved() {
  for (const [name, { ends, ...space }] of [...spaces]) {
    if (ends === undefined) continue;
    await own.whenSynced;
    await endSpace(ends);
    if (spaces.get(name)?.id === space.id) spaces.set(name, space);
  }
}

/**
 * Takes a note off the list; of a shared one, the others keep theirs. Its words stay in the log, so that
 * a device that writes in it meanwhile brings it back whole.
 */
async function remove({ name, space }) {
  const title = titles.get(name) || "Empty note";
  if (!confirm(`${space === undefined ? "Delete" : "Leave"} “${title}”?`)) return;
  titles.delete(name);
  spaces.delete(name);
  if (space !== undefined) await forgetSpace(space);
}

/** Takes the space of a link into the notes, unless it is there. */
async function join(given) {
  const space = await joinSpace(given);
  const [known] = [...spaces].find(([, { id }]) => id === space.id) ?? [];
  if (known === undefined) spaces.set(space.id, space);
  return known ?? space.id;
}

function showPeople() {
  const { name } = note;
  showShare(spaces.get(name), {
    share: async () => {
      const space = await shareNote(note);
      spaces.set(name, space);
      return space;
    },
    move: () =>
      moveNote(spaces.get(name), async (space) => {
        spaces.set(name, space);
        await own.flush();
        await own.client.sync();
      }),
  });
}

function showList() {
  if (note === undefined) return;
  const names = new Map(titles.entries());
  for (const name of [...spaces.keys(), note.name]) if (!names.has(name)) names.set(name, "");
  const options = [...names].map(([name, title]) => {
    const words = (title || "Empty note") + (spaces.has(name) ? " (shared)" : "");
    return new Option(words, name, false, name === note.name);
  });
  list.replaceChildren(...options);
  document.getElementById("delete").textContent = spaces.has(note.name) ? "Leave" : "Delete";
}

function showSync() {
  const isShared = note !== undefined && note.documents !== own;
  const both = isShared ? [note.documents.status, own.status] : [own.status];
  const shown =
    both.find(({ state }) => state === "refused") ??
    both.find(({ state }) => state !== "synced") ??
    own.status;
  showStatus(...wordsFor(shown, shown !== own.status));
}

/** What went wrong stays in sight, unlike the status. */
function showTrouble(words) {
  document.getElementById("trouble").textContent = words;
}

function showStatus(words, isWrong = false) {
  status.textContent = words;
  status.classList.toggle("wrong", isWrong);
}
