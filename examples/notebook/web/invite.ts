/** Lets a person use an invite, while the server does not accept the key. */
import { type Identity, type Status, SyncClient } from "../../../client/index.ts";
import { MemoryStore } from "../../../client/memory.ts";
import { find, hideError, setText, showError } from "./dom.ts";

/** The form, which is shown while the server has a list of users and this user is not on it. */
export class InviteForm {
  readonly #section = find("invite", HTMLElement);

  /**
   * @param url the address of the server
   * @param onAccepted called once the server has put the user on its list
   */
  constructor(url: URL, identity: Identity, onAccepted: () => void) {
    const form = find("invite-form", HTMLFormElement);
    const code = find("invite-code", HTMLInputElement);
    const button = find("invite-use", HTMLButtonElement);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      hideError();
      button.disabled = true;
      try {
        await enter(url, identity, code.value.trim());
        form.reset();
        setText(find("news", HTMLElement), "The server has accepted this key");
        onAccepted();
      } catch (error) {
        showError(error);
        code.focus();
      } finally {
        button.disabled = false;
      }
    });
  }

  show(status: Status): void {
    this.#section.hidden = !(status.state === "refused" && status.code === "not-allowed");
  }
}

/**
 * Asks the server to put a user on its list, in a separate request: another tab may hold the notebook's
 * connection. Rejects if the server refuses, or cannot be reached.
 */
async function enter(url: URL, identity: Identity, invite: string): Promise<void> {
  const { promise: accepted, resolve, reject } = Promise.withResolvers<void>();
  const client = await SyncClient.open({
    ...{ url, identity, invite, pollInterval: Infinity },
    store: new MemoryStore(),
    receive: () => undefined,
    // The answer has begun: what is in it, the notebook reads.
    onLines: () => resolve(),
    onStatus: (status) => {
      if (status.state !== "synced" && status.why !== undefined) reject(new Error(status.why));
    },
  });
  try {
    await accepted;
  } finally {
    await client.close();
  }
}
