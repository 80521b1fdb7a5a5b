/** Sheets above the page: the user's devices, and the people who share a note. */
import { withHeads } from "@sync-server/client/identity";
import { renderSVG } from "uqr";
import { linkToDevice, linkToSpace, setKept } from "./keys.js";

const [devices, share] = ["devices", "share"].map((id) => document.getElementById(id));
const [key, kept, code, moving] = ["text", "kept", "code", "moving"].map((id) =>
  document.getElementById(id),
);

/** What adds a device; a user who is new keeps the text of the key before anything else. */
export async function showDevices({ documents: { client }, user }) {
  const { identity, text } = user;
  devices.classList.toggle("first", !user.isKept);
  kept.disabled = !user.isKept;
  kept.textContent = user.isKept ? "Close" : "I have kept the key";
  // With what this device has, a new one knows what to expect of the server.
  key.value = await withHeads(text, identity, await client.heads());
  code.textContent = await client.stateCode();
  showLink(devices, linkToDevice(text));
  openSheet(devices);
  key.scrollTop = 0;
  await new Promise((resolve) => {
    // A key that is not kept is lost with this browser.
    devices.onclose = () => (kept.disabled ? devices.showModal() : resolve());
  });
  user.isKept = true;
  setKept();
}

/** @param does what `share` and `move` do; they return the space to be shown */
export function showShare(space, does) {
  const render = (space) => {
    share.classList.toggle("shared", space !== undefined);
    if (space !== undefined) showLink(share, linkToSpace(space));
  };
  const run = (what, words) => async () => {
    moving.textContent = words;
    try {
      render(await what());
      moving.textContent = "";
    } catch (error) {
      moving.textContent = error.message;
    }
  };
  moving.textContent = "";
  document.getElementById("start").onclick = run(does.share, "Making a key …");
  document.getElementById("move").onclick = run(does.move, "Moving the note …");
  render(space);
  openSheet(share);
}

function openSheet(sheet) {
  sheet.showModal();
  // Not what comes first: a line with a link would be selected.
  sheet.focus();
}

/** A link to another device or person: as a picture for a camera, and to be copied. */
function showLink(sheet, address) {
  // The address has 700 characters: a code with more room for errors would be too fine for a camera.
  const svg = renderSVG(address, { ecc: "L", border: 4 });
  sheet.querySelector("img").src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  sheet.querySelector("input").value = address;
}

document.getElementById("save").onclick = () => {
  const href = `data:text/plain,${encodeURIComponent(key.value)}`;
  Object.assign(document.createElement("a"), { href, download: "notes-key.txt" }).click();
  kept.disabled = false;
};
for (const button of document.querySelectorAll("[data-copy]")) {
  button.onclick = async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).value);
    button.textContent = "Copied";
    kept.disabled = false;
  };
}
