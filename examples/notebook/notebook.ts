/** A notebook: the notes in the log of a user, in documents. The page and the command line share it. */
import { type Doc, encodeStateAsUpdate } from "yjs";
import {
  type DocumentsOptions,
  type DocumentUpdate,
  SyncDocuments,
} from "../../client/documents.ts";
import type { Bytes, ClientChange, Status, SyncClient } from "../../client/index.ts";
import { mergeUpdates } from "../../client/yjs.ts";
import { DeviceNames } from "./device-names.ts";
import { adopt } from "./earlier-entries.ts";
import { docOf, markDeleted, markRestored, newDoc, sent } from "./note-doc.ts";
import { NoteEdit } from "./note-edit.ts";
import { newNoteName, noteNameOf } from "./note-names.ts";
import { matcher, type Note, noteOf } from "./notes.ts";
import { OwnUpdates } from "./own-updates.ts";
import { SortedNotes } from "./sorted-notes.ts";

/** The options of documents, but for those that a notebook sets itself. */
export interface NotebookOptions
  extends Omit<DocumentsOptions, "adopt" | "merge" | "onUpdates" | "receive"> {
  /** How this device is called until a person gives it a name: the others learn it with its first note. */
  readonly device: string;
  /**
   * Called with the names of notes that have come or changed, here or elsewhere, once the notebook is open;
   * with none where the name of a device may have changed.
   *
   * @param isOwn whether it was appended here
   * @param added those of which nothing was here before
   */
  readonly onNotes?: (names: readonly string[], isOwn: boolean, added: readonly string[]) => void;
}

export class Notebook {
  readonly #options: NotebookOptions;
  readonly #names = new SortedNotes();
  /** The notes that were read, by name. */
  readonly #notes = new Map<string, Note>();
  readonly #own = new OwnUpdates();
  #opened: { readonly documents: SyncDocuments; readonly devices: DeviceNames } | undefined;
  /** When the last note was written here. */
  #last = 0;
  #tried: () => void = () => undefined;
  /** Fulfilled once a round has ended, which may be unable to read what is on this device. */
  readonly #whenTried = new Promise<void>((resolve) => {
    this.#tried = resolve;
  });

  private constructor(options: NotebookOptions) {
    this.#options = options;
  }

  /** Continues with what the store holds, and starts to sync. Throws what `SyncDocuments.open` throws. */
  static async open(options: NotebookOptions): Promise<Notebook> {
    const notebook = new Notebook(options);
    const documents = await SyncDocuments.open({
      ...options,
      adopt,
      merge: mergeUpdates,
      onUpdates: (updates, isOwn) => notebook.#take(updates, isOwn),
      onStatus: (status) => {
        if (status.state !== "pending" || status.why !== undefined) notebook.#tried();
        options.onStatus?.(notebook.#counted(status));
      },
      onClientChange: (change) => {
        notebook.#move(change);
        options.onClientChange?.(change);
      },
    });
    notebook.#opened = { documents, devices: new DeviceNames(documents) };
    return notebook;
  }

  get documents(): SyncDocuments {
    return this.#open.documents;
  }

  get client(): SyncClient {
    return this.documents.client;
  }

  /** The names of the devices. */
  get devices(): DeviceNames {
    return this.#open.devices;
  }

  /** The status of the client; what is pending are notes. */
  get status(): Status {
    return this.#counted(this.client.status);
  }

  /** The names of notes of which something is not sent yet. */
  get unsent(): ReadonlySet<string> {
    const { status, tooLarge } = this.client;
    return notesAmong(this.#own.waiting(status.pending, tooLarge));
  }

  /** The names of notes of which something is larger than the server accepts. */
  get tooLarge(): ReadonlySet<string> {
    return notesAmong(this.#own.namesIn(this.client.tooLarge));
  }

  /** The index of the newest operation of this device, if it has one. */
  get newestOwn(): number | undefined {
    return this.#own.newest(this.client.client);
  }

  /** Whether this device has written a note. */
  isOwn({ client }: Pick<Note, "client">): boolean {
    return this.client.isOwn({ client, index: 0 });
  }

  /** The notes that are not deleted, newest first, as they are read: as many as are asked for. */
  *newestFirst(): Generator<Note, void, void> {
    for (const name of this.#names.newestFirst()) {
      const note = this.note(name);
      if (!note.isDeleted) yield note;
    }
  }

  /** The notes that are not deleted, oldest first. */
  *oldestFirst(): Generator<Note, void, void> {
    for (const name of this.#names.oldestFirst()) {
      const note = this.note(name);
      if (!note.isDeleted) yield note;
    }
  }

  /** The notes that have all words of a query, newest first. */
  *search(query: string): Generator<Note, void, void> {
    const matches = matcher(query);
    for (const note of this.newestFirst()) if (matches(note)) yield note;
  }

  /** A note that may be deleted. */
  note(name: string): Note {
    const known = this.#notes.get(name);
    if (known !== undefined) return known;
    const note = noteOf(name, docOf(this.updates(name)));
    this.#notes.set(name, note);
    return note;
  }

  /** All updates of a note: to be edited apart, and saved later. */
  updates(name: string): readonly Bytes[] {
    const all: Bytes[] = [];
    const take = (updates: readonly Bytes[]) => {
      for (const update of updates) all.push(update);
    };
    this.documents.open(name, { apply: take }).close();
    return all;
  }

  /** Writes a note. It is durable on this device once the promise is fulfilled, and not there if it fails. */
  async write(text: string): Promise<Note> {
    // Those of one device stay in the order in which they were written, however fast that was.
    this.#last = Math.max(this.#last + 1, Date.now());
    const name = newNoteName(this.#last);
    await this.#store(name, newDoc({ client: this.client.client, text }));
    return this.note(name);
  }

  /** Gives a note another text: what has changed of it, so that edits of other devices stay. */
  async edit(name: string, text: string): Promise<void> {
    await this.whenRead();
    const edit = NoteEdit.of(this.updates(name));
    edit.change(text);
    await this.save(name, edit);
  }

  /** Saves an edit. */
  save(name: string, edit: NoteEdit): Promise<void> {
    return this.#store(name, edit.update(Date.now()));
  }

  /** Deletes a note. An edit that another device makes without knowing of it brings the note back. */
  delete(name: string): Promise<void> {
    return this.#change(name, markDeleted);
  }

  /** Takes a deletion back. */
  restore(name: string): Promise<void> {
    return this.#change(name, markRestored);
  }

  async #change(name: string, change: (doc: Doc) => void): Promise<void> {
    await this.whenRead();
    const doc = docOf(this.updates(name));
    const before = sent(doc);
    change(doc);
    await this.#store(name, encodeStateAsUpdate(doc, before));
  }

  /** Stores an update of a note. Where that fails, nothing is kept of it, so that it can be tried again. */
  async #store(name: string, update: Uint8Array): Promise<void> {
    await this.whenRead();
    const { client } = this.client;
    if (this.devices.find(client) === undefined) this.devices.set(client, this.#options.device);
    await this.documents.store(name, update);
    this.#changed([name], true);
  }

  /** Calls this device by another name. */
  async rename(name: string): Promise<void> {
    // A name that is given without the one before may not take its place.
    await this.whenRead();
    this.devices.set(this.client.client, name);
    await this.documents.flush();
  }

  /** Stores what is not stored yet, and closes the client. */
  close(): Promise<void> {
    return this.documents.close();
  }

  get #open() {
    if (this.#opened === undefined) throw new TypeError("the notebook is not open yet");
    return this.#opened;
  }

  #take(updates: readonly DocumentUpdate[], isOwn: boolean): void {
    if (isOwn) this.#own.add(updates);
    const names = new Set(updates.map(({ name }) => name));
    this.#changed([...names].filter(isNote), isOwn);
  }

  #changed(names: readonly string[], isOwn: boolean): void {
    for (const name of names) this.#notes.delete(name);
    const added = this.#names.add(names);
    if (this.#opened !== undefined) this.#options.onNotes?.(names, isOwn, added);
  }

  /** Fulfilled once everything that can be read on this device was. */
  whenRead(): Promise<void> {
    return Promise.race([this.documents.whenLoaded, this.#whenTried]);
  }

  /** The name goes along with the notes. */
  #move(change: ClientChange): void {
    this.#own.change(change);
    const name = this.#opened?.devices.find(change.from);
    if (name !== undefined) this.#opened?.devices.set(change.to, name);
  }

  #counted(status: Status): Status {
    const { pending } = status;
    if (status.state === "synced" || pending === 0) return status;
    const tooLarge = this.#opened?.documents.client.tooLarge ?? [];
    const names = [...this.#own.waiting(pending, tooLarge), ...this.#own.namesIn(tooLarge)];
    return { ...status, pending: notesAmong(names).size };
  }
}

function isNote(name: string): boolean {
  return noteNameOf(name) !== undefined;
}

function notesAmong(names: Iterable<string>): Set<string> {
  return new Set([...names].filter(isNote));
}
