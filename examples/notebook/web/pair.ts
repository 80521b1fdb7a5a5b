/** Adds a device by a code: this browser has the key, and gives it to the device whose digits are typed here. */
import type { SyncClient } from "../../../client/index.ts";
import { endPairing, KeyOffer } from "../../../client/pairing.ts";
import { codeOf } from "../recovery-sheet.ts";
import { find, hideError, setText, showError, showWhileChecked } from "./dom.ts";
import { nodeOf } from "./elements.ts";
import { NAME, type UserKey } from "./key.ts";

/** Where `localStorage` has the link of a pairing, until the server has nothing of it any more. */
const LINK = `${NAME} pairing`;

/** The user wants to add no device any more. */
const STOPPED = new Error("stopped");

/** Lets the user add a device. Erases what an earlier pairing has left, if the page was closed in it. */
export function offerPairing(key: UserKey, client: SyncClient, url: URL): void {
  const form = find("pair-form", HTMLFormElement);
  const passphrase = find("pair-passphrase", HTMLInputElement);
  showWhileChecked(find("pair-shown", HTMLInputElement), passphrase);
  form.hidden = key.text === "";
  // Without the server, the next start tries again.
  endEarlier().catch(() => undefined);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    hideError();
    const button = find("pair-show", HTMLButtonElement);
    button.disabled = true;
    say("");
    try {
      const { identity, text } = key;
      const given = { url, identity, text, passphrase: passphrase.value };
      const offer = await KeyOffer.open({ ...given, heads: await client.heads() });
      form.reset();
      form.hidden = true;
      await navigator.locks.request(LINK, () => give(offer));
    } catch (error) {
      say("");
      if (error !== STOPPED) showError(error);
    } finally {
      button.disabled = false;
      form.hidden = false;
    }
  });
}

/** Shows an offer until it is over. One tab at a time: what it stores is of one offer. */
async function give(offer: KeyOffer): Promise<void> {
  localStorage.setItem(LINK, offer.link);
  const section = find("pair-offer", HTMLElement);
  const code = nodeOf(codeOf(offer.link, "L"));
  find("pair-code", HTMLElement).prepend(code);
  section.hidden = false;
  section.scrollIntoView({ block: "nearest" });
  say("Waiting for the new device…");
  try {
    await untilGiven(offer);
    say("The new device has the key.");
  } finally {
    section.hidden = true;
    code.parentNode?.removeChild(code);
    await offer.close();
    localStorage.removeItem(LINK);
  }
}

/** Rejects with what ends the offer, at once, also while nobody types. */
async function untilGiven(offer: KeyOffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const ended = new AbortController();
  const { signal } = ended;
  const form = find("pair-confirm", HTMLFormElement);
  const digits = find("pair-digits", HTMLInputElement);
  const button = find("pair-add", HTMLButtonElement);
  const enable = (isEnabled: boolean) => {
    digits.disabled = !isEnabled;
    button.disabled = !isEnabled;
  };
  const fail = () => reject(offer.over.reason);
  offer.over.addEventListener("abort", fail, { signal });
  if (offer.over.aborted) fail();
  find("pair-stop", HTMLButtonElement).addEventListener("click", () => reject(STOPPED), { signal });
  form.addEventListener(
    "submit",
    async (event) => {
      event.preventDefault();
      hideError();
      enable(false);
      try {
        await offer.confirm(digits.value);
        resolve();
      } catch (error) {
        if (!(error instanceof RangeError)) return reject(error);
        showError(error);
        enable(true);
        digits.focus();
      }
    },
    { signal },
  );
  enable(false);
  form.reset();
  try {
    const answered = async () => {
      await offer.answered();
      say("A device has answered. Type the code that it shows.");
      enable(true);
      digits.focus();
    };
    answered().catch(reject);
    await promise;
  } finally {
    ended.abort();
  }
}

/** Not while another tab pairs. */
function endEarlier(): Promise<void> {
  return navigator.locks.request(LINK, async () => {
    const link = localStorage.getItem(LINK);
    if (link === null) return;
    await endPairing(link);
    localStorage.removeItem(LINK);
  });
}

function say(text: string): void {
  setText(find("pair-state", HTMLElement), text);
}
