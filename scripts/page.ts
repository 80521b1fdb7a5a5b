/**
 * Builds the web page from `examples/notebook/web` and the client: `npm run page`, which `npm ci`
 * runs as well (`prepare` of `examples/notebook`). Bun runs it.
 *
 *     bun scripts/page.ts [FOLDER]
 *
 * FOLDER is by default the one that `server/http/page-files.ts` reads.
 */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "bun";
import type { PageFile } from "../server/http/page-files.ts";
import { licencesOf, type Package, packagesOf } from "./licences.ts";

const project = fileURLToPath(new URL("..", import.meta.url));
const source = join(project, "examples", "notebook", "web");

/** The text of each file of the page, and the packages that are in it. */
export async function buildPage(): Promise<{
  readonly files: Readonly<Record<PageFile, string>>;
  readonly packages: readonly Package[];
}> {
  const read = (name: string) => readFile(join(source, name), "utf8");
  const { text, packages } = await bundle(join(source, "notebook.ts"));
  const files = {
    "index.html": await read("index.html"),
    "notebook.js": `${text}\n/*!\n${licencesOf(packages).replaceAll("*/", "* /")}\n*/\n`,
    "style.css": await read("style.css"),
    "icon.svg": await read("icon.svg"),
  };
  return { files, packages };
}

/** Bundles a module for browsers. Not minified, so that users can read what handles their keys. */
async function bundle(entrypoint: string): Promise<{ text: string; packages: Package[] }> {
  const { outputs, metafile } = await build({
    entrypoints: [entrypoint],
    root: project,
    target: "browser",
    metafile: true,
  });
  const [output, ...others] = outputs;
  if (output === undefined || others.length > 0) throw new Error("the bundle is not one file");
  return { text: await output.text(), packages: packagesOf(Object.keys(metafile?.inputs ?? {})) };
}

if (import.meta.main) {
  const folder = resolve(process.argv[2] ?? join(project, "server", "http", "page"));
  await mkdir(folder, { recursive: true });
  const { files } = await buildPage();
  for (const [name, text] of Object.entries(files)) {
    // Renamed when complete, for a server or another build that runs at the same time.
    const temporary = join(folder, `${name}.${process.pid}`);
    await writeFile(temporary, text);
    await rename(temporary, join(folder, name));
  }
}
