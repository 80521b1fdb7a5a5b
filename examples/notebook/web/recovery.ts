/** Prints recovery sheets. Asks no server. */
import { importIdentity } from "../../../client/identity.ts";
import { partsOf } from "../recovery-sheet.ts";
import { find, hideError, showError, showWhileChecked } from "./dom.ts";
import { nodeOf } from "./elements.ts";
import type { UserKey } from "./key.ts";

/** Lets the user print a sheet, once the passphrase has opened the key that is on it. */
export function offerRecoverySheet(key: UserKey, server: URL): void {
  const { identity, text } = key;
  const form = find("recovery-form", HTMLFormElement);
  const passphrase = find("recovery-passphrase", HTMLInputElement);
  const button = find("recovery-print", HTMLButtonElement);
  // Without the text, there is nothing to print: “Add a device” says so.
  find("recovery-details", HTMLDetailsElement).hidden = text === "";
  showWhileChecked(find("recovery-shown", HTMLInputElement), passphrase);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    hideError();
    button.disabled = true;
    try {
      const { fingerprint } = await importIdentity(text, passphrase.value);
      if (fingerprint !== identity.fingerprint) {
        throw new Error("the text of the key is that of another notebook: reload this page");
      }
      form.reset();
      printSheet(key, server);
    } catch (error) {
      showError(error);
      passphrase.focus();
    } finally {
      button.disabled = false;
    }
  });
}

/** Prints the sheet of a key. What is printed later is the page. */
export function printSheet({ identity: { fingerprint }, text }: UserKey, server: URL): void {
  const sheet = find("recovery-sheet", HTMLElement);
  const parts = partsOf({ key: text, fingerprint, server: server.href, at: Date.now() });
  sheet.replaceChildren(...parts.map((part) => nodeOf(part)));
  sheet.hidden = false;
  const clear = () => {
    sheet.replaceChildren();
    sheet.hidden = true;
  };
  addEventListener("afterprint", clear, { once: true });
  print();
}
