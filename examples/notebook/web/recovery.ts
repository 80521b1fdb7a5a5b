/** Prints a recovery sheet, once the passphrase has opened the key that is on it. Asks no server. */
import { importIdentity } from "../../../client/identity.ts";
import { type Part, partsOf } from "../recovery-sheet.ts";
import { find, hideError, showError, showWhileChecked } from "./dom.ts";
import type { UserKey } from "./key.ts";

const SVG = "http://www.w3.org/2000/svg";

export function offerRecoverySheet({ identity, text }: UserKey, server: URL): void {
  const form = find("recovery-form", HTMLFormElement);
  const passphrase = find("recovery-passphrase", HTMLInputElement);
  const button = find("recovery-print", HTMLButtonElement);
  const sheet = find("recovery-sheet", HTMLElement);
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
      const parts = partsOf({ key: text, fingerprint, server: server.href, at: Date.now() });
      sheet.replaceChildren(...parts.map((part) => nodeOf(part, "http://www.w3.org/1999/xhtml")));
      sheet.hidden = false;
      form.reset();
      print();
    } catch (error) {
      showError(error);
      passphrase.focus();
    } finally {
      button.disabled = false;
    }
  });
  // What is printed later is the page.
  addEventListener("afterprint", () => {
    sheet.replaceChildren();
    sheet.hidden = true;
  });
}

function nodeOf(part: Part, namespace: string): Node {
  if (typeof part === "string") return document.createTextNode(part);
  const { name, attributes = {}, parts = [] } = part;
  const own = name === "svg" ? SVG : namespace;
  const element = document.createElementNS(own, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key !== "xmlns") element.setAttribute(key, value);
  }
  element.append(...parts.map((one) => nodeOf(one, own)));
  return element;
}
