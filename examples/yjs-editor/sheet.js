import { withHeads } from "@sync-server/client/identity";

const sheet = document.getElementById("sheet");
const [key, code] = ["key", "code"].map((id) => document.getElementById(id));

/** Shows the text of the key, with what this device has: a new device knows then what to expect. */
export async function showKey({ client }, identity, text) {
  key.value = await withHeads(text, identity, await client.heads());
  code.textContent = await client.stateCode();
  sheet.showModal();
  key.setSelectionRange(0, 0);
  key.scrollTop = 0;
}

document.getElementById("copy").onclick = async ({ target }) => {
  await navigator.clipboard.writeText(key.value);
  target.textContent = "Copied";
};
