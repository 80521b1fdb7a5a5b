/** The key as text, to be carried to another device, with what this browser has of the notebook. */
import { InvalidKey, withHeads } from "../../../client/identity.ts";
import type { SyncClient } from "../../../client/index.ts";
import { linkOf } from "../key-text.ts";
import { codeOf } from "../recovery-sheet.ts";
import { copyOnClick, find } from "./dom.ts";
import { nodeOf } from "./elements.ts";
import type { UserKey } from "./key.ts";

/** Characters in a code that a camera reads from a screen. Keys of other programs have more. */
const MOST_IN_CODE = 1200;

export class KeyView {
  readonly #key: UserKey;
  readonly #client: SyncClient;
  readonly #area = find("key", HTMLTextAreaElement);
  readonly #copy = find("copy", HTMLButtonElement);
  readonly #details = find("device-details", HTMLDetailsElement);

  /** @param page the address of this page */
  constructor(key: UserKey, client: SyncClient, page: URL) {
    this.#key = key;
    this.#client = client;
    this.#area.value = key.text;
    find("key-lost", HTMLElement).hidden = key.text !== "";
    const link = key.text === "" ? "" : linkOf(key.text, page);
    const code = find("key-code", HTMLElement);
    code.hidden = link === "" || link.length > MOST_IN_CODE;
    if (!code.hidden) code.prepend(nodeOf(codeOf(link, "L")));
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
