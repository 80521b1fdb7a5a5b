/** The first page: a new user, or one that another device has. */
import { enter, knownUser } from "./keys.js";

const form = document.getElementById("enter");
const hasKey = document.getElementById("has-key");
const key = document.getElementById("key");

/** @param text the text of a key, from a link of the user's other device */
export async function enteredUser(text) {
  const known = await knownUser();
  if (known !== undefined) return known;
  key.value = text ?? "";
  hasKey.open = text !== undefined;
  hasKey.ontoggle = () => {
    key.required = hasKey.open;
  };
  form.hidden = false;
  return new Promise((resolve) => {
    form.onsubmit = async (event) => {
      event.preventDefault();
      const { passphrase } = Object.fromEntries(new FormData(form));
      setBusy(true);
      try {
        resolve(await enter(passphrase, hasKey.open ? key.value : ""));
        form.hidden = true;
      } catch (error) {
        document.getElementById("wrong").textContent = error.message;
        setBusy(false);
      }
    };
  });
}

function setBusy(isBusy) {
  form.inert = isBusy;
  form.querySelector("[type=submit]").textContent = isBusy ? "Opening …" : "Open";
}
