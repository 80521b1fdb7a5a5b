/** The key as text, to be carried to another device, with what this browser has of the notebook. */
import { InvalidKey, withHeads } from "../../../client/identity.ts";
import type { SyncClient } from "../../../client/index.ts";
import { copyOnClick, find } from "./dom.ts";
import type { UserKey } from "./key.ts";

export class KeyView {
  readonly #key: UserKey;
  readonly #client: SyncClient;
  readonly #area = find("key", HTMLTextAreaElement);
  readonly #copy = find("copy", HTMLButtonElement);
  readonly #details = find("device-details", HTMLDetailsElement);

  constructor(key: UserKey, client: SyncClient) {
    this.#key = key;
    this.#client = client;
    this.#area.value = key.text;
    find("key-lost", HTMLElement).hidden = key.text !== "";
    this.#copy.disabled = true;
    copyOnClick(
      this.#copy,
      () => this.#area.value,
      () => this.#area.select(),
    );
    this.#details.addEventListener("toggle", () => this.refresh());
  }

  /** Renews the text while a person can see it. */
  async refresh(): Promise<void> {
    const { identity, text } = this.#key;
    if (!this.#details.open || text === "") return;
    try {
      this.#area.value = await withHeads(text, identity, await this.#client.heads());
    } catch (error) {
      // A text that the browser has damaged is shown as it is.
      if (!(error instanceof InvalidKey)) throw error;
    }
    this.#copy.disabled = false;
  }
}
