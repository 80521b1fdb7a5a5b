/** Notes, each a document of Yjs, and one more document with their titles. */

import { keymap, placeholder } from "@codemirror/view";
import { SyncDocuments } from "@sync-server/client/documents";
import { IndexedDbStore } from "@sync-server/client/indexeddb";
import { YjsProvider } from "@sync-server/client/yjs";
import { EditorView, minimalSetup } from "codemirror";
import { yCollab, yUndoManagerKeymap } from "y-codemirror.next";
import { mergeUpdates } from "yjs";
import { enter } from "./enter.js";
import { showKey } from "./sheet.js";

const url = new URLSearchParams(location.search).get("server") ?? "http://localhost:8080";
const [header, main, status, list] = ["header", "main", "#status", "#notes"].map((selector) =>
  document.querySelector(selector),
);

const { identity, text, isNew } = await enter();
const documents = await SyncDocuments.open({
  url,
  identity,
  store: await IndexedDbStore.open("notes", identity),
  // In a snapshot, notes that are not open are joined as well.
  merge: mergeUpdates,
  onError: (error) => showStatus(error.message, true),
});
documents.subscribe(() => showStatus(...wordsFor(documents.status)));
showStatus(...wordsFor(documents.status));

const index = await new YjsProvider(documents, "titles").whenLoaded;
const titles = index.doc.getMap("titles");
let note;
let editor;

header.hidden = main.hidden = false;
titles.observe(showList);
list.onchange = () => void openNote(list.value);
document.getElementById("new").onclick = () => void openNote(crypto.randomUUID());
document.getElementById("devices").onclick = () => void showKey(documents, identity, text);
await openNote(titles.keys().next().value ?? "first");
if (isNew) await showKey(documents, identity, text);

async function openNote(name) {
  editor?.destroy();
  note?.destroy();
  const opened = new YjsProvider(documents, name);
  note = opened;
  await opened.whenLoaded;
  // Another one may have been opened meanwhile.
  if (note !== opened) return;
  const content = opened.doc.getText("text");
  content.observe(({ transaction }) => {
    if (transaction.local) titles.set(name, titleOf(content));
  });
  editor = new EditorView({
    doc: content.toString(),
    parent: main,
    extensions: [
      keymap.of(yUndoManagerKeymap),
      minimalSetup,
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ "aria-label": "Text of the note" }),
      placeholder("Write something …"),
      yCollab(content, null),
    ],
  });
  showList();
}

function titleOf(content) {
  const [line = ""] = content.toString().trimStart().split("\n", 1);
  return line.slice(0, 60);
}

function showList() {
  const names = new Map(titles.entries());
  if (!names.has(note.name)) names.set(note.name, "");
  const options = [...names].map(
    ([name, title]) => new Option(title || "Empty note", name, false, name === note.name),
  );
  list.replaceChildren(...options);
}

function showStatus(words, isWrong = false) {
  status.textContent = words;
  status.classList.toggle("wrong", isWrong);
}

function wordsFor({ state, why }) {
  if (state === "synced") return ["Everything is on the server."];
  if (state === "offline") return ["Offline. Your words are kept on this device."];
  if (state === "refused") return [why, true];
  return ["Sending …"];
}
