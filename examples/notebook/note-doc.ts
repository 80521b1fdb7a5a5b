/**
 * The document of a note, in Yjs: what is in it, and how it changes so that devices which change it at the
 * same time come to the same note with the words of both. README.md says what other software has to know.
 */
import { Doc, encodeStateAsUpdate, encodeStateVector, transact } from "yjs";
import type { Bytes } from "../../client/index.ts";
import { applyUpdates } from "../../client/yjs.ts";
import { ADOPTING, type Written } from "./adopted-update.ts";

/** The origin of changes that come from the log. */
const LOG = "log";

/** To make a random id takes Yjs longer than all else, and it is not in updates. */
function emptyDoc(): Doc {
  return new Doc({ guid: "note" });
}

/** What a document of a note says. */
export interface Content {
  /** The client id of the device that wrote the note; empty where the document does not say. */
  readonly client: string;
  readonly text: string;
  /** When it was edited last, in milliseconds since 1970; `undefined` if never. */
  readonly edited: number | undefined;
  readonly isDeleted: boolean;
  /** What another app has written, where that is no text. */
  readonly bytes: Uint8Array | undefined;
}

/** The only update of a new document. */
export function newDoc({ client, text, bytes }: Written, doc = emptyDoc()): Bytes {
  transact(doc, () => {
    doc.getMap("note").set("client", client);
    if (bytes !== undefined) doc.getMap("note").set("bytes", bytes);
    if (text !== "") doc.getText("text").insert(0, text);
    keep(doc);
  });
  return encodeStateAsUpdate(doc).slice();
}

/** The document that updates make, in any order. */
export function docOf(updates: readonly Uint8Array[]): Doc {
  const doc = emptyDoc();
  merge(doc, updates);
  return doc;
}

/** Adds updates to a document: to Yjs, their origin is "log". */
export function merge(doc: Doc, updates: readonly Uint8Array[]): void {
  applyUpdates(doc, updates, LOG);
}

export function contentOf(doc: Doc): Content {
  const note = doc.getMap("note");
  const [client, edited, bytes] = [note.get("client"), note.get("edited"), note.get("bytes")];
  return {
    client: typeof client === "string" ? client : "",
    text: doc.getText("text").toString(),
    edited: typeof edited === "number" ? edited : undefined,
    isDeleted: doc.getArray("kept").length === 0,
    bytes: bytes instanceof Uint8Array ? bytes : undefined,
  };
}

/** Deletes the note, unless another device edits it at the same time. The text stays in the document. */
export function markDeleted(doc: Doc): void {
  const kept = doc.getArray("kept");
  kept.delete(0, kept.length);
}

/** Takes a deletion back. */
export function markRestored(doc: Doc): void {
  transact(doc, () => keep(doc));
}

/**
 * What other devices have to be sent of a document, to be asked for before it is changed: what follows on
 * it. Of a note that was made of an entry of an earlier form, it is everything: where that entry has another
 * name, the words come all the same.
 */
export function sent(doc: Doc): Uint8Array {
  const isAdopted = doc.store.clients.has(ADOPTING) && doc.store.clients.size === 1;
  return encodeStateVector(isAdopted ? emptyDoc() : doc);
}

/**
 * A note is kept as long as there is a mark in the list. A deletion takes out the marks that it knows, and
 * an edit puts a new one in the place of those: so the marks of an edit at the same time stay.
 */
export function keep(doc: Doc): void {
  const kept = doc.getArray("kept");
  kept.delete(0, kept.length);
  kept.push([0]);
}
