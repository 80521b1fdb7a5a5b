/** Takes the key from the device whose code was scanned: this browser is the new one. */
import type { NewIdentity } from "../../../client/identity.ts";
import { isPairingLink, KeyRequest } from "../../../client/pairing.ts";
import { find, hideError, setText, showError, showWhileChecked } from "./dom.ts";

const NOT_TOLD =
  "This browser has the key. The other device could not be informed, and may report that the transfer failed.";

/** A link that is opened in this tab changes the address alone: begins again with it. */
export function takeLaterPairingLinks(): void {
  addEventListener("hashchange", () => {
    if (isPairingLink(location.href)) location.reload();
  });
}

/** Returns the link that brought the page here, and removes it from the address. */
export function takePairingLink(): string | undefined {
  const { href, pathname, search } = location;
  if (!isPairingLink(href)) return undefined;
  history.replaceState(null, "", pathname + search);
  return href;
}

/**
 * The key of the other device, once it is stored; `undefined` where nothing has come of it, which is shown.
 *
 * @param store keeps the key
 */
export async function joinBy(
  link: string,
  store: (key: NewIdentity) => Promise<void>,
): Promise<NewIdentity | undefined> {
  const section = find("join", HTMLElement);
  section.hidden = false;
  const stopping = new AbortController();
  const { signal } = stopping;
  const stop = () => stopping.abort(new DOMException("stopped", "AbortError"));
  let stored: NewIdentity | undefined;
  find("join-stop", HTMLButtonElement).addEventListener("click", stop, { once: true });
  try {
    const request = await KeyRequest.open(link, { url: new URL(".", location.href), signal });
    try {
      setText(find("join-code", HTMLElement), await request.code());
      find("join-asking", HTMLElement).hidden = true;
      find("join-ready", HTMLElement).hidden = false;
      const key = await untilPassphrase(request);
      await store(key);
      stored = key;
      await request.taken();
    } finally {
      await request.close();
    }
  } catch (error) {
    if (stored !== undefined) showError(NOT_TOLD);
    else if (!signal.aborted) showError(error);
  } finally {
    section.hidden = true;
  }
  return stored;
}

/** Has the user choose a passphrase, and waits for the key. Rejects with what ends the request, at once. */
async function untilPassphrase(request: KeyRequest): Promise<NewIdentity> {
  const { promise, resolve, reject } = Promise.withResolvers<NewIdentity>();
  const form = find("join-form", HTMLFormElement);
  const passphrase = find("join-passphrase", HTMLInputElement);
  const button = find("join-open", HTMLButtonElement);
  showWhileChecked(find("join-shown", HTMLInputElement), passphrase);
  const fail = () => reject(request.over.reason);
  request.over.addEventListener("abort", fail, { once: true });
  if (request.over.aborted) fail();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    hideError();
    button.disabled = true;
    find("join-waits", HTMLElement).hidden = false;
    request.key(passphrase.value).then(resolve, reject);
  });
  passphrase.focus();
  return promise;
}
