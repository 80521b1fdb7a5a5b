/**
 * Shows what the server stores, as far as the page knows it: the payloads that the server has
 * accepted from here and sent to here. An app needs nothing of this, so it alone looks inside the
 * client, at envelopes and at the lines of a response.
 */
import { InvalidEnvelope, parseEnvelope } from "../../../client/envelope.ts";
import type { Fetch, Identity } from "../../../client/index.ts";
import { toBase64url } from "../../../protocol/base64.ts";
import { LineSplitter, parseLine } from "../../../protocol/ndjson.ts";
import { create, find, setText } from "./dom.ts";

/** Operations that are shown; all are counted. */
const MAX_SHOWN = 20;
/** Characters of ciphertext that are shown of each. */
const PREVIEW_LENGTH = 120;

/** The part of a request's body that matters here. */
interface SyncBody {
  readonly client_id: string;
  readonly operation_index?: number;
  readonly payload?: readonly string[];
}

export class CiphertextView {
  readonly #identity: Identity;
  readonly #list = find("stored", HTMLOListElement);
  readonly #summary = find("stored-count", HTMLElement);
  readonly #seen = new Set<string>();
  #characters = 0;

  constructor(identity: Identity) {
    this.#identity = identity;
  }

  /** For the client to use as `fetch`: shows what requests send and responses bring. */
  readonly fetch: Fetch = async (request, init) => {
    const sent: SyncBody = JSON.parse(await request.clone().text());
    const response = await fetch(request, init);
    if (!response.ok || response.body === null) return response;
    this.add(sent.client_id, sent.operation_index ?? 0, sent.payload ?? []);
    const { status, headers } = response;
    return new Response(response.body.pipeThrough(this.#observer()), { status, headers });
  };

  /** Adds payloads of a client, the first of which has the index `first`. */
  add(client: string, first: number, payloads: readonly string[]): void {
    for (const [i, payload] of payloads.entries()) this.#show(client, first + i, payload);
    if (this.#seen.size === 0) return;
    const operations = this.#seen.size === 1 ? "1 operation" : `${this.#seen.size} operations`;
    setText(this.#summary, `${operations}, ${this.#characters.toLocaleString("en")} bytes.`);
  }

  /** Passes the bytes of a response on, and shows each complete line. */
  #observer(): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
    const splitter = new LineSplitter();
    return new TransformStream({
      transform: (chunk, controller) => {
        controller.enqueue(chunk);
        for (const text of splitter.push(chunk)) {
          const line = parseLine(text);
          // The client reports a line that is not an operation.
          if (line !== undefined) this.add(line.client, line.index, [line.payload]);
        }
      },
    });
  }

  #show(client: string, index: number, payload: string): void {
    const id = `${client} ${index}`;
    if (this.#seen.has(id)) return;
    this.#seen.add(id);
    this.#characters += payload.length;
    const item = document.createElement("li");
    const size = payload.length.toLocaleString("en");
    item.append(
      create("small", `device ${client.slice(0, 8)}, operation ${index}, ${size} bytes`),
      create("span", `${this.#ciphertextOf(payload).slice(0, PREVIEW_LENGTH)}…`),
    );
    this.#list.prepend(item);
    if (this.#list.children.length > MAX_SHOWN) this.#list.lastElementChild?.remove();
  }

  /** The part of an envelope that differs most from one payload to the next. */
  #ciphertextOf(payload: string): string {
    try {
      return toBase64url(parseEnvelope(this.#identity, payload).ciphertext);
    } catch (error) {
      if (error instanceof InvalidEnvelope) return payload;
      throw error;
    }
  }
}
