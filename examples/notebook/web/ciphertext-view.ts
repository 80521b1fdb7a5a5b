/**
 * Shows what the server stores, as far as this browser has it: the payloads that the server has
 * accepted from here and sent to here. An app needs nothing of this, so it alone looks inside the
 * client, at envelopes. It reads nothing before a person opens it.
 */
import { parseEnvelope } from "../../../client/envelope.ts";
import type { Identity, Line, Store } from "../../../client/index.ts";
import { toBase64url } from "../../../protocol/base64.ts";
import { beforeNextFrame, create, find, setText } from "./dom.ts";

/** Operations that are shown; all are counted. */
const MAX_SHOWN = 20;
/** Characters that are read from the store at once. */
const PAGE_CHARACTERS = 1024 * 1024;
/** Characters of ciphertext that are shown of each. */
const PREVIEW_LENGTH = 120;

export class CiphertextView {
  readonly #identity: Identity;
  readonly #store: Store;
  readonly #details = find("stored-details", HTMLDetailsElement);
  readonly #list = find("stored", HTMLOListElement);
  readonly #summary = find("stored-count", HTMLElement);
  /** The index after the last operation counted, of each client. */
  readonly #next = new Map<string, number>();
  #operations = 0;
  #characters = 0;
  #isErased = false;
  /** The last operations that are not in the list yet. */
  #waiting: Line[] = [];
  /** The reads of the store, one after the other. */
  #reading = Promise.resolve();
  readonly #render = beforeNextFrame(() => this.#renderNow());

  constructor(identity: Identity, store: Store) {
    this.#identity = identity;
    this.#store = store;
    this.#details.addEventListener("toggle", () => this.refresh());
  }

  /** Adds what the store has got since the last time, while a person can see it. */
  refresh(): Promise<void> {
    if (!this.#details.open) return Promise.resolve();
    const reading = this.#reading.then(() => this.#read());
    // The next one tries again.
    this.#reading = reading.catch(() => undefined);
    return reading;
  }

  async #read(): Promise<void> {
    const { own, cursors } = await this.#store.load();
    for (const { client, index: last } of cursors) {
      for (let next = this.#next.get(client) ?? 0; next <= last; ) {
        const { first, payloads } = await this.#store.readReceived(client, next, PAGE_CHARACTERS);
        if (payloads.length === 0) break;
        this.#add(client, first, payloads);
        next = first + payloads.length;
      }
    }
    for (const { client, acknowledged } of own) {
      for (let next = this.#next.get(client) ?? 0; next < acknowledged; ) {
        const count = acknowledged - next;
        const payloads = await this.#store.read(client, next, count, PAGE_CHARACTERS);
        if (payloads.length === 0) break;
        this.#add(client, next, payloads);
        next += payloads.length;
      }
    }
  }

  #add(client: string, first: number, payloads: readonly string[]): void {
    this.#next.set(client, first + payloads.length);
    this.#operations += payloads.length;
    for (const payload of payloads) this.#characters += payload.length;
    const lines = payloads.map((payload, i) => ({ client, index: first + i, payload }));
    this.#waiting = [...this.#waiting, ...lines].slice(-MAX_SHOWN);
    this.#render();
  }

  /** Shows from now on that the server stores nothing any more. */
  showErased(): void {
    this.#isErased = true;
    this.#renderNow();
  }

  #renderNow(): void {
    if (this.#isErased) {
      setText(this.#summary, "Nothing any more.");
      this.#list.replaceChildren();
      return;
    }
    const count = this.#operations;
    const operations = count === 1 ? "1 operation" : `${count.toLocaleString("en")} operations`;
    setText(this.#summary, `${operations}, ${this.#characters.toLocaleString("en")} bytes.`);
    for (const line of this.#waiting) this.#list.prepend(this.#item(line));
    this.#waiting = [];
    while (this.#list.children.length > MAX_SHOWN) this.#list.lastElementChild?.remove();
  }

  #item({ client, index, payload }: Line): HTMLElement {
    const item = create("li");
    const size = payload.length.toLocaleString("en");
    item.append(
      create("small", `device ${client.slice(0, 8)}, operation ${index}, ${size} bytes`),
      create("span", `${this.#ciphertextOf(payload).slice(0, PREVIEW_LENGTH)}…`),
    );
    return item;
  }

  /** The part of an envelope that differs most from one payload to the next. */
  #ciphertextOf(payload: string): string {
    const envelope = parseEnvelope(this.#identity, payload);
    return envelope === undefined ? payload : toBase64url(envelope.ciphertext);
  }
}
