/**
 * Packs the server into one file: `npm run build` and `npm run compile`. It is run by Bun.
 *
 *     bun scripts/build.ts FILE              a JavaScript file for Node, Bun and Deno
 *     bun scripts/build.ts --compile FILE    an executable for this machine's system, with Bun in it
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildConfig, type BunPlugin, build, write } from "bun";
import manifest from "../package.json" with { type: "json" };
import { buildPage } from "./page.ts";

const project = fileURLToPath(new URL("..", import.meta.url));
const entrypoints = [join(project, "server.ts")];

/** Puts the files of the web page into the output, in place of the module that reads them. */
async function embedPage(): Promise<BunPlugin> {
  // Not in `onLoad`: a build within a build never ends.
  const files = JSON.stringify(await buildPage());
  const contents = `const files = ${files}; export const readPageFile = async (name) => files[name];`;
  return {
    name: "embed-page",
    setup({ onLoad }) {
      const filter = /[\\/]server[\\/]http[\\/]page-files\.ts$/;
      onLoad({ filter }, () => ({ contents, loader: "js" }));
    },
  };
}

/** Writes the JavaScript file; gives its size. */
async function pack(file: string): Promise<number> {
  const { outputs, metafile } = await build({
    entrypoints,
    root: project,
    target: "node",
    plugins: [await embedPage()],
    metafile: true,
    // Names are kept: they stand in the stack traces of the log.
    minify: { whitespace: true, syntax: true, identifiers: false },
    // Bun would write it in a way that is true when the file is imported, too.
    define: { "import.meta.main": "undefined" },
  });
  const [output, ...others] = outputs;
  if (output === undefined || others.length > 0) throw new Error("it is not one file");
  const packages = packagesOf(Object.keys(metafile?.inputs ?? {}));
  return write(file, `${head}\n${await output.text()}\n${licences(packages)}\n`);
}

/** Writes the executable; gives its size. */
async function compile(file: string): Promise<number> {
  const options: BuildConfig = {
    entrypoints,
    root: project,
    plugins: [await embedPage()],
    compile: {
      outfile: file,
      // Settings come from the environment alone, whatever folder it is started in.
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
  };
  await build(options);
  return Bun.file(file).size;
}

const head = `/*! Sync-Server ${manifest.version} for Node 20.19 or later, Bun and Deno. ${manifest.license} licence. The packages in this file and their licences are listed at its end. */`;

interface Package {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  /** The text of its licence; some packages leave it out. */
  readonly text: string;
}

/** The packages that the files come from. */
function packagesOf(files: readonly string[]): Package[] {
  const folders = files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? []);
  return [...new Set(folders)].sort().map((folder): Package => {
    const { name, version, license } = JSON.parse(
      readFileSync(resolve(project, folder, "package.json"), "utf8"),
    );
    const file = readdirSync(resolve(project, folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text =
      file === undefined ? "" : readFileSync(resolve(project, folder, file), "utf8").trim();
    return { name, version, license, text };
  });
}

/** A comment that names the packages, and has each licence text once. */
function licences(packages: readonly Package[]): string {
  const own = { name: "sync-server", version: manifest.version, license: manifest.license };
  const all = [
    { ...own, text: readFileSync(join(project, "LICENSE"), "utf8").trim() },
    ...packages,
  ];
  const byText = Map.groupBy(all, ({ text }) => text);
  const parts = [...byText].map(([text, same]) => {
    const names = same.map(({ name, version, license }) => `${name} ${version} (${license})`);
    return `${names.join("\n")}\n\n${text}`;
  });
  return `/*!\n${parts.join(`\n\n${"-".repeat(80)}\n\n`).replaceAll("*/", "* /")}\n*/`;
}

const args = process.argv.slice(2);
const file = args.at(-1);
if (file === undefined || file.startsWith("-")) {
  console.error("Usage: bun scripts/build.ts [--compile] FILE");
  process.exit(2);
}
const size = await (args[0] === "--compile" ? compile : pack)(resolve(file));
console.log(`${file}: ${(size / 2 ** 20).toFixed(1)} MiB`);
