/**
 * Builds the server: `npm run build`, `npm run sbom`, `npm run compile` and `npm run build:package`. Bun
 * runs it.
 *
 *     bun scripts/build.ts FILE                a JavaScript file for Node, Bun and Deno
 *     bun scripts/build.ts --sbom FILE         what is in that file, in the format CycloneDX
 *     bun scripts/build.ts --compile FILE      an executable for this machine's system, with Bun in it
 *     bun scripts/build.ts --package FOLDER    the JavaScript of the npm package, in place of the folder's content
 */
import { rmSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildConfig, type BunPlugin, build, write } from "bun";
import manifest from "../package.json" with { type: "json" };
import { licencesOf, type Package, packagesOf } from "./licences.ts";
import { buildPage } from "./page.ts";
import { billOfMaterials } from "./sbom.ts";

const project = fileURLToPath(new URL("..", import.meta.url));
const entrypoints = [join(project, "server.ts")];

/** Not in `onLoad` of a plugin: a build within a build never ends. */
const page = await buildPage();

/** Puts the files of the web page into the output, in place of the module that reads them. */
function embedPage(): BunPlugin {
  const files = Object.entries(page.files).map(([name, content]) => {
    // Text stays readable in the output; pictures are no text.
    const isText = typeof content === "string";
    return [name, isText ? content : Buffer.from(content).toString("base64"), isText];
  });
  const contents = `
    import { Buffer } from "node:buffer";
    const files = new Map(${JSON.stringify(files)}.map(([name, content, isText]) =>
      [name, isText ? content : Buffer.from(content, "base64")]));
    export const readPageFile = async (name) => files.get(name);`;
  return {
    name: "embed-page",
    setup({ onLoad }) {
      const filter = /[\\/]server[\\/]http[\\/]page-files\.ts$/;
      onLoad({ filter }, () => ({ contents, loader: "js" }));
    },
  };
}

/** The packages in an output and in the page, in the order of their names. */
function allPackages(inputs: Readonly<Record<string, unknown>> = {}): Package[] {
  const all = [...packagesOf(Object.keys(inputs)), ...page.packages];
  const byName = new Map(all.map((one) => [`${one.name} ${one.version}`, one]));
  return [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}

/** Makes the JavaScript file, and says which packages are in it. */
async function bundle(): Promise<{ text: string; packages: readonly Package[] }> {
  const { outputs, metafile } = await build({
    entrypoints,
    root: project,
    target: "node",
    plugins: [embedPage()],
    metafile: true,
    // Names are kept for the stack traces in the log.
    minify: { whitespace: true, syntax: true, identifiers: false },
  });
  const [output, ...others] = outputs;
  if (output === undefined || others.length > 0) throw new Error("the output is not one file");
  return { text: await output.text(), packages: allPackages(metafile?.inputs) };
}

/** Writes the JavaScript file. Resolves with its size. */
async function pack(file: string): Promise<number> {
  const { text, packages } = await bundle();
  const licences = licencesOf(packages);
  const comment = `/*!\n${licences.replaceAll("*/", "* /")}\n*/`;
  return write(file, `${head}\n${text}\n${comment}\n`);
}

/** Writes the list of what is in the JavaScript file. Resolves with its size. */
async function list(file: string): Promise<number> {
  const { packages } = await bundle();
  return write(file, `${JSON.stringify(billOfMaterials(packages), undefined, 2)}\n`);
}

/** Writes the executable. Resolves with its size. */
async function compile(file: string): Promise<number> {
  const options: BuildConfig = {
    entrypoints,
    root: project,
    plugins: [embedPage()],
    compile: {
      outfile: file,
      // Files in the folder where it is started must not change its settings.
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
  };
  await build(options);
  return Bun.file(file).size;
}

/**
 * Writes the JavaScript of the npm package. Resolves with its size. It imports the dependencies that
 * an install brings, which leave out the AWS SDK and the client of Redis: each is in a file of the
 * package which is loaded when it is needed, and their licences are in another.
 */
async function packageInto(folder: string): Promise<number> {
  const { outputs, metafile } = await build({
    entrypoints,
    root: project,
    target: "node",
    // A module that is imported dynamically becomes a separate file.
    splitting: true,
    external: Object.keys(manifest.dependencies).flatMap((name) => [name, `${name}/*`]),
    plugins: [embedPage()],
    metafile: true,
    minify: { whitespace: false, syntax: true, identifiers: false },
  });
  rmSync(folder, { recursive: true, force: true });
  let size = 0;
  for (const output of outputs) {
    const start = output.kind === "entry-point" ? "#!/usr/bin/env node\n" : "";
    size += await write(join(folder, basename(output.path)), start + (await output.text()));
  }
  const licences = licencesOf(allPackages(metafile?.inputs));
  await write(join(folder, "LICENCES.txt"), `${licences}\n`);
  return size;
}

const head = `/*! Sync-Server ${manifest.version} for Node 20.19 or later, Bun and Deno. ${manifest.license} licence. The packages in this file and their licences are listed at its end. */`;

const args = process.argv.slice(2);
const target = args.at(-1);
if (target === undefined || target.startsWith("-")) {
  console.error("Usage: bun scripts/build.ts [--sbom | --compile | --package] FILE");
  process.exit(2);
}
const kinds = new Map([
  ["--sbom", list],
  ["--compile", compile],
  ["--package", packageInto],
]);
const size = await (kinds.get(args[0] ?? "") ?? pack)(resolve(target));
console.log(`${target}: ${(size / 2 ** 20).toFixed(1)} MiB`);
