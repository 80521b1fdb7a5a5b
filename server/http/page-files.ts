/**
 * The built files of the web page. `scripts/page.ts` writes them to the folder `page` beside this
 * file. In the one file and the executable, `scripts/build.ts` replaces this module by one that
 * contains them.
 */
import { readFile } from "node:fs/promises";

export type PageFile = "index.html" | "notebook.js" | "style.css" | "icon.svg";

/** The text of a file. Rejects with `ENOENT` if the page is not built. */
export function readPageFile(name: PageFile): Promise<string> {
  return readFile(new URL(`page/${name}`, import.meta.url), "utf8");
}
