/**
 * Builds the web page from `examples/notebook/web` and the client: `npm run page`, which `npm ci`
 * runs as well (`prepare` of `examples/notebook`). Bun runs it.
 *
 *     bun scripts/page.ts [FOLDER]
 *
 * FOLDER is by default the one that `server/http/page-files.ts` reads.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "bun";
import type { PageFile } from "../server/http/page-files.ts";
import { licencesOf, type Package, packagesOf } from "./licences.ts";

const project = fileURLToPath(new URL("..", import.meta.url));
const source = join(project, "examples", "notebook", "web");

/** Later ones take precedence. */
const STYLES = ["base.css", "style.css", "sheet.css", "paper.css"];

/** The content of each file of the page, and the packages that are in it. */
export async function buildPage(): Promise<{
  readonly files: Readonly<Record<PageFile, string | Uint8Array>>;
  readonly packages: readonly Package[];
}> {
  const read = (name: string) => readFile(join(source, name), "utf8");
  const picture = (name: string) => readFile(join(source, name));
  const { text, packages } = await bundle("notebook.ts");
  const parts = {
    "notebook.js": `${text}\n/*!\n${licencesOf(packages).replaceAll("*/", "* /")}\n*/\n`,
    "style.css": (await Promise.all(STYLES.map(read))).join("\n"),
    "icon.svg": await read("icon.svg"),
  };
  let html = await read("index.html");
  const digests = new Map<string, string>();
  for (const [name, content] of Object.entries(parts)) {
    const digest = digestOf(content);
    const versioned = `page/${name}?${digest.toString("hex", 0, 8)}`;
    html = html.replace(`"page/${name}"`, `"${versioned}"`);
    digests.set(versioned, `sha256-${digest.toString("base64")}`);
  }
  // The worker changes with every file, by which browsers notice a new version.
  const version = digestOf(html + (await read("worker.ts"))).toString("hex", 0, 8);
  html = html.replace('data-version=""', `data-version="${version}"`);
  digests.set(".", `sha256-${digestOf(html).toString("base64")}`);
  const worker = await bundle("worker.ts", {
    VERSION: JSON.stringify(version),
    FILES: JSON.stringify(Object.fromEntries(digests)),
  });
  const files = {
    ...parts,
    "index.html": html,
    "worker.js": worker.text,
    "app.webmanifest": await read("app.webmanifest"),
    "icon-192.png": await picture("icon-192.png"),
    "icon-512.png": await picture("icon-512.png"),
  };
  return { files, packages };
}

function digestOf(content: string): Buffer {
  return createHash("sha256").update(content).digest();
}

/**
 * Bundles a module for browsers. Not minified, so that users can read what handles their keys.
 *
 * @param define what takes the place of names in it
 */
async function bundle(
  name: string,
  define: Readonly<Record<string, string>> = {},
): Promise<{ text: string; packages: Package[] }> {
  const { outputs, metafile } = await build({
    entrypoints: [join(source, name)],
    root: project,
    target: "browser",
    metafile: true,
    define: { ...define },
  });
  const [output, ...others] = outputs;
  if (output === undefined || others.length > 0) throw new Error("the bundle is not one file");
  return { text: await output.text(), packages: packagesOf(Object.keys(metafile?.inputs ?? {})) };
}

if (import.meta.main) {
  const folder = resolve(process.argv[2] ?? join(project, "server", "http", "page"));
  await mkdir(folder, { recursive: true });
  const { files } = await buildPage();
  for (const [name, content] of Object.entries(files)) {
    // Renamed when complete, for a server or another build that runs at the same time.
    const temporary = join(folder, `${name}.${process.pid}`);
    await writeFile(temporary, content);
    await rename(temporary, join(folder, name));
  }
}
