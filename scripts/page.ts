/**
 * Packs the web page into one file that `server/http/static.ts` serves: `npm run page`. It is run by Bun,
 * after each change of `client/`; a test fails if it was not.
 *
 *     bun scripts/page.ts FILE
 *
 * The file is kept with the source. So the server needs nothing that strips types (which Node 20
 * cannot do by itself), no file beside it, and no step before `npm start`, whatever it runs on.
 */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build, write } from "bun";

const project = fileURLToPath(new URL("..", import.meta.url));
const folder = join(project, "examples", "notebook", "web");

/** The modules as one, without types. Not made smaller: whoever types a secret may read it. */
async function script(): Promise<string> {
  const { outputs } = await build({
    entrypoints: [join(folder, "notebook.ts")],
    root: project,
    target: "browser",
  });
  const [output, ...others] = outputs;
  if (output === undefined || others.length > 0) throw new Error("it is not one file");
  return output.text();
}

const read = (name: string) => readFileSync(join(folder, name), "utf8");
const files = {
  "/": { type: "text/html; charset=utf-8", text: read("index.html") },
  "/page/notebook.js": { type: "text/javascript; charset=utf-8", text: await script() },
  "/page/style.css": { type: "text/css; charset=utf-8", text: read("style.css") },
  "/page/icon.svg": { type: "image/svg+xml", text: read("icon.svg") },
};
const [file, ...rest] = process.argv.slice(2);
if (file === undefined || rest.length > 0) {
  console.error("Usage: bun scripts/page.ts FILE");
  process.exit(2);
}
// In lines, so that a change shows as what it is.
const inLines = Object.entries(files).map(([path, { type, text }]) => {
  return { path, type, lines: text.split("\n") };
});
const size = await write(resolve(file), `${JSON.stringify(inLines, null, 1)}\n`);
console.log(`${file}: ${Math.round(size / 1024)} KiB`);
