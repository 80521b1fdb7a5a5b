/**
 * What the server stores, as far as the page can know it: the payloads that it was sent and took,
 * and those that it has sent here.
 */

import { InvalidEnvelope, parseEnvelope } from "../../../client/envelope.ts";
import type { Identity } from "../../../client/types.ts";
import { toBase64url } from "../../../protocol/base64.ts";
import { LineSplitter, parseLine } from "../../../protocol/ndjson.ts";
import { find, make, say } from "./dom.ts";

/** Lines that are shown; more are counted. */
const MOST_SHOWN = 20;
/** Characters of ciphertext that are shown of a line. */
const BEGINNING = 120;

interface Sent {
  readonly client_id: string;
  readonly operation_index?: number;
  readonly payload?: readonly string[];
}

export class Stored {
  readonly #identity: Identity;
  readonly #list = find("stored", HTMLOListElement);
  readonly #count = find("stored-count", HTMLElement);
  readonly #seen = new Set<string>();
  #characters = 0;

  constructor(identity: Identity) {
    this.#identity = identity;
  }

  /** Requests as the client makes them, looked at on their way. */
  readonly fetch = async (request: Request): Promise<Response> => {
    const sent: Sent = JSON.parse(await request.clone().text());
    const response = await fetch(request);
    if (!response.ok || response.body === null) return response;
    this.add(sent.client_id, sent.operation_index ?? 0, sent.payload ?? []);
    const { status, headers } = response;
    return new Response(response.body.pipeThrough(this.#lines()), { status, headers });
  };

  /** Notes payloads of a client, the first under the index `first`. */
  add(client: string, first: number, payloads: readonly string[]): void {
    for (const [i, payload] of payloads.entries()) this.#show(client, first + i, payload);
    if (this.#seen.size === 0) return;
    const things = this.#seen.size === 1 ? "1 operation" : `${this.#seen.size} operations`;
    say(this.#count, `${things}, ${this.#characters.toLocaleString("en")} bytes.`);
  }

  /** Passes on what comes, and looks at each line that is whole. */
  #lines(): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
    const splitter = new LineSplitter();
    return new TransformStream({
      transform: (chunk, controller) => {
        controller.enqueue(chunk);
        for (const line of splitter.push(chunk)) this.#take(line);
      },
    });
  }

  /** The client says what is wrong with an answer; here a line is only shown. */
  #take(text: string): void {
    const line = parseLine(text);
    if (line !== undefined) this.add(line.client, line.index, [line.payload]);
  }

  #show(client: string, index: number, payload: string): void {
    const name = `${client} ${index}`;
    if (this.#seen.has(name)) return;
    this.#seen.add(name);
    this.#characters += payload.length;
    const item = document.createElement("li");
    const size = payload.length.toLocaleString("en");
    item.append(
      make("small", `device ${client.slice(0, 8)}, operation ${index}, ${size} bytes`),
      make("span", `${this.#ciphertext(payload).slice(0, BEGINNING)}…`),
    );
    this.#list.prepend(item);
    if (this.#list.children.length > MOST_SHOWN) this.#list.lastElementChild?.remove();
  }

  /** What differs from one payload to the next; the server cannot tell where it begins. */
  #ciphertext(payload: string): string {
    try {
      return toBase64url(parseEnvelope(this.#identity, payload).ciphertext);
    } catch (error) {
      if (error instanceof InvalidEnvelope) return payload;
      throw error;
    }
  }
}
