/** Says where a key that came from elsewhere has nothing on the server: it may be the wrong one. */
import type { SyncClient } from "../../../client/index.ts";
import { find } from "./dom.ts";
import { isImported } from "./key.ts";

export class NeverStored {
  readonly #notice = find("never-stored", HTMLElement);

  /** To be called whenever the client is synced. The notice stays until something of another device comes. */
  async show(client: SyncClient): Promise<void> {
    const heads = await client.heads();
    const isOther = client.refusals.length > 0 || heads.some((head) => !client.isOwn(head));
    if (isOther) this.#notice.hidden = true;
    else if (isImported() && heads.length === 0) this.#notice.hidden = false;
  }
}
