/**
 * Shows what the server stores, as far as the page knows it: the payloads that the server has
 * accepted from here and sent to here. An app needs nothing of this, so it alone looks inside the
 * client, at envelopes.
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

  constructor(identity: Identity) {
    this.#identity = identity;
  }

  /** Adds operations that the server sent. */
  add(lines: readonly Line[]): void {
    for (const line of lines) {
      // An answer that was cut is sent again.
      if (line.index < (this.#next.get(line.client) ?? 0)) continue;
      this.#next.set(line.client, line.index + 1);
      this.#operations++;
      this.#characters += line.payload.length;
      this.#waiting.push(line);
    }
    this.#waiting = this.#waiting.slice(-MAX_SHOWN);
    if (this.#operations > 0) this.#render();
  }

  /** Adds the operations of others that this device has received earlier. */
  async addReceived(store: Store): Promise<void> {
    const { cursors } = await store.load();
    for (const { client, index: last } of cursors) {
      for (let next = 0; next <= last; ) {
        const { first, payloads } = await store.readReceived(client, next, PAGE_CHARACTERS);
        if (payloads.length === 0) break;
        this.add(payloads.map((payload, i) => ({ client, index: first + i, payload })));
        next = first + payloads.length;
      }
    }
  }

  /** Adds the operations of this device that the server has acknowledged. */
  addAcknowledged(store: Store): Promise<void> {
    this.#reading = this.#reading.then(async () => {
      const { own } = await store.load();
      for (const { client, acknowledged } of own) {
        const first = this.#next.get(client) ?? 0;
        const count = acknowledged - first;
        if (count <= 0) continue;
        const payloads = await store.read(client, first, count, Number.POSITIVE_INFINITY);
        this.add(payloads.map((payload, i) => ({ client, index: first + i, payload })));
      }
    });
    return this.#reading;
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
