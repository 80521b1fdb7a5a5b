/** Says what a person should know where the browser has damaged what it stores. */
import type { IndexedDbDamage } from "../../../client/indexeddb.ts";
import { find, setText } from "./dom.ts";

/** Shows that a part was damaged, what became of it, and what may be missing. */
export function showDamage({ operations, unsent }: IndexedDbDamage): void {
  setText(find("damaged-notes", HTMLElement), `${readText(operations)} ${missingText(unsent)}`);
  find("damaged", HTMLElement).hidden = false;
}

function readText(operations: number): string {
  return operations === 0
    ? "No note written here can be read any more."
    : "The notes written here that can still be read are sent again.";
}

function missingText(unsent: number | undefined): string {
  if (unsent === 0) return "All others had been sent, and come back from the server.";
  const sent = "Notes that had been sent come back from the server";
  return unsent === undefined
    ? `${sent}: look for those that you wrote last.`
    : `Some had not been sent, and cannot be read any more: write again what is missing. ${sent}.`;
}
