/** How the devices of a notebook are called: in a document of the log, so that all of them know it. */
import { Doc, encodeStateAsUpdate } from "yjs";
import type { OpenDocument, SyncDocuments } from "../../client/documents.ts";
import { mergeUpdates } from "../../client/yjs.ts";
import { merge } from "./note-doc.ts";

const DOCUMENT = "devices";
/** Characters of a name; what is longer is cut. */
const MOST = 60;

export class DeviceNames {
  readonly #doc = new Doc();
  readonly #open: OpenDocument;

  constructor(documents: SyncDocuments) {
    this.#open = documents.open(DOCUMENT, {
      apply: (updates) => merge(this.#doc, updates),
      merge: mergeUpdates,
      state: () => encodeStateAsUpdate(this.#doc),
    });
    this.#doc.on("update", (update: Uint8Array, origin: unknown) => {
      if (origin === null) this.#open.push(update);
    });
  }

  /** The name of a device, by its client id; the beginning of the id where it has none. */
  of(client: string): string {
    return this.find(client) ?? client.slice(0, 8);
  }

  /** The name that a device was given. */
  find(client: string): string | undefined {
    const name = this.#doc.getMap("names").get(client);
    return typeof name === "string" && name !== "" ? name : undefined;
  }

  /** Gives a device a name. It is stored with what is stored next. */
  set(client: string, name: string): void {
    const given = tidied(name);
    if (this.find(client) !== given) this.#doc.getMap("names").set(client, given);
  }
}

/** A name as it is kept: one line, not too long. */
export function tidied(name: string): string {
  return [...name.replace(/\s/g, " ").trim()].slice(0, MOST).join("");
}
