/** Deletes everything on the server, once the user has confirmed that by typing a word. */
import type { SyncClient } from "../../../client/index.ts";
import { find, hideError, sentenceOf, setText, showError } from "./dom.ts";

/** @param onErased called once the server has deleted everything; the client is closed then */
export function offerErasure(client: SyncClient, onErased: () => void): void {
  const button = find("erase", HTMLButtonElement);
  const dialog = find("erase-dialog", HTMLDialogElement);
  const label = button.textContent;
  button.addEventListener("click", () => {
    find("erase-form", HTMLFormElement).reset();
    // The Escape key leaves it as it is.
    dialog.returnValue = "";
    dialog.showModal();
  });
  dialog.addEventListener("close", async () => {
    if (dialog.returnValue !== "erase") return;
    hideError();
    button.disabled = true;
    setText(button, "Deleting…");
    setText(find("news", HTMLElement), "Deleting…");
    try {
      await client.erase();
      onErased();
      // The sheet on a phone is above what says so.
      find("sheet", HTMLDialogElement).close();
      find("erased", HTMLElement).focus();
    } catch (error) {
      // an answer that did not arrive may have been a 204.
      showError(`The server has not confirmed the deletion: try again. ${sentenceOf(error)}`);
      button.disabled = false;
      button.focus();
    } finally {
      setText(button, label);
    }
  });
}

/** Shows that everything is deleted, at the request of this device or of another. */
export function showErased(): void {
  hideError();
  find("erased", HTMLElement).hidden = false;
  find("erase", HTMLButtonElement).disabled = true;
}
