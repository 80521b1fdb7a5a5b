/**
 * The built files of the web page. `scripts/page.ts` writes them to the folder `page` beside this
 * file. In the one file and the executable, `scripts/build.ts` replaces this module by one that
 * contains them.
 */
import { readFile } from "node:fs/promises";

export type PageFile =
  | "index.html"
  | "notebook.js"
  | "worker.js"
  | "style.css"
  | "app.webmanifest"
  | "icon.svg"
  | "icon-192.png"
  | "icon-512.png";

/** The content of a file. Rejects with `ENOENT` if the page is not built. */
export function readPageFile(name: PageFile): Promise<string | Uint8Array<ArrayBuffer>> {
  return readFile(new URL(`page/${name}`, import.meta.url));
}
