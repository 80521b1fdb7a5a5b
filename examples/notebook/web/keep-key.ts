/** The step between a new key and its notebook: nobody goes on without a copy of the key. */
import { linkOf } from "../key-text.ts";
import { codeOf } from "../recovery-sheet.ts";
import { copyOnClick, find, hideError, showError } from "./dom.ts";
import { nodeOf } from "./elements.ts";
import { forgetAll, markSaved, type UserKey } from "./key.ts";
import { printSheet } from "./recovery.ts";

/**
 * Resolves once the user has copied, downloaded, printed or scanned the key, and says so. A page that
 * is closed before that comes back to this step.
 *
 * @param page the address of this page
 * @param onChange called when other tabs should look at the key again
 */
export async function untilSaved(key: UserKey, page: URL, onChange: () => void): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const section = find("keep-key", HTMLElement);
  const done = find("kept", HTMLButtonElement);
  const area = find("kept-key", HTMLTextAreaElement);
  const scan = find("keep-scan", HTMLDetailsElement);
  const allow = () => {
    hideError();
    done.disabled = false;
    find("keep-first", HTMLElement).hidden = true;
  };
  area.value = key.text;
  area.addEventListener("copy", allow);
  copyOnClick(
    find("keep-copy", HTMLButtonElement),
    () => key.text,
    () => area.select(),
    allow,
  );
  find("keep-download", HTMLButtonElement).addEventListener("click", () => {
    download(key);
    allow();
  });
  find("keep-print", HTMLButtonElement).addEventListener("click", () => {
    // The passphrase was typed a moment ago: nobody is asked for it again.
    printSheet(key, page);
    allow();
  });
  find("kept-code", HTMLElement).prepend(nodeOf(codeOf(linkOf(key.text, page), "L")));
  scan.addEventListener("toggle", () => scan.open && allow());
  done.addEventListener("click", () => {
    markSaved();
    onChange();
    resolve();
  });
  find("start-over", HTMLButtonElement).addEventListener("click", () => {
    if (!confirm("Delete this key? Nothing has been written with it.")) return;
    forgetAll()
      .then(onChange)
      .then(() => location.reload(), showError);
  });
  section.hidden = false;
  find("keep-key-title", HTMLElement).focus();
  await promise;
  section.hidden = true;
}

function download({ identity, text }: UserKey): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = `notebook-key-${identity.fingerprint.slice(0, 8)}.txt`;
  link.click();
}
