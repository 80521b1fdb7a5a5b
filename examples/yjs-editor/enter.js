import { createIdentity, importIdentity } from "@sync-server/client/identity";
import { loadIdentity, saveIdentity } from "@sync-server/client/indexeddb";

const NAME = "notes";
const form = document.getElementById("enter");

/**
 * The user's key, and its text: the browser keeps both, and asks for a passphrase the first time. The
 * text is encrypted under the passphrase.
 */
export async function enter() {
  const known = await loadIdentity(NAME);
  if (known !== undefined) return { identity: known, text: localStorage.getItem(NAME) ?? "" };
  form.hidden = false;
  for (;;) {
    await new Promise((resolve) => {
      form.onsubmit = (event) => {
        event.preventDefault();
        resolve();
      };
    });
    try {
      return await identify(Object.fromEntries(new FormData(form)));
    } catch (error) {
      document.getElementById("wrong").textContent = error.message;
    }
  }
}

async function identify({ passphrase, text }) {
  const isNew = text.trim() === "";
  const made = isNew
    ? await createIdentity(passphrase)
    : { identity: await importIdentity(text, passphrase), text };
  localStorage.setItem(NAME, made.text);
  await saveIdentity(NAME, made.identity);
  form.hidden = true;
  return { ...made, isNew };
}
