/**
 * The tests, bundled for Node, and the programs that they start, bundled for all runtimes. Otherwise
 * each process would load some hundred modules one by one, which takes a second of CPU through tsx and
 * a tenth on Bun and Deno, and a run has hundreds of processes.
 */
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";
import manifest from "../../package.json" with { type: "json" };
import { projectFolder } from "../support/process.ts";

/**
 * Each module says where its source is, since that is how tests find other files. Only the module
 * that is started keeps the rest of its `import.meta`, by which it can tell that it is; a server in
 * the bundle of a test does not take itself for started.
 */
function sourcePlaces(started?: string): Plugin {
  return {
    name: "source-places",
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const place = JSON.stringify({
          url: pathToFileURL(path).href,
          filename: path,
          dirname: dirname(path),
        });
        const pattern = path === started ? OF_PLACES : OF_ALL;
        const text = await readFile(path, "utf8");
        return { contents: text.replaceAll(pattern, `(${place})`), loader: "ts" };
      });
    },
  };
}

const OF_ALL = /\bimport\.meta\b/g;
/** What says where a module is. */
const OF_PLACES = /\bimport\.meta(?=\.(?:url|filename|dirname)\b)/g;

/** What a bundle of packages in CommonJS calls. */
const REQUIRE =
  'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);';

const PROCESSES = [
  ...["append", "client", "cluster", "dated", "durable", "envelope", "invite", "kill", "notebook"],
  ...["put", "receive", "retrying", "store"],
];

/** Programs that tests start, and modules that these import by their URL. */
const PROGRAMS = [
  "server.ts",
  join("examples", "notebook", "cli", "cli.ts"),
  join("bench", "run.ts"),
  join("bench", "cost", "cost.ts"),
  join("scripts", "demo.ts"),
  ...PROCESSES.map((name) => join("tests", "support", `${name}-process.ts`)),
  join("tests", "support", "faulty-app.ts"),
  join("tests", "support", "faulty-listener.ts"),
  join("storage", "filesystem.ts"),
  join("storage", "s3.ts"),
  join("tests", "storage", "broken-drivers.ts"),
  join("tests", "storage", "journal", "list-process.ts"),
  join("tests", "storage", "journal", "open.ts"),
];

/** Bundles test files into a folder, with what they share. Gives the source of each bundle, in order. */
export async function bundleTests(
  files: readonly string[],
  folder: string,
): Promise<Map<string, string>> {
  const { metafile } = await bundle(files, folder, sourcePlaces());
  const bundles = new Map<string, string>();
  for (const [path, { entryPoint = "" }] of Object.entries(metafile.outputs)) {
    bundles.set(resolve(projectFolder, entryPoint), resolve(projectFolder, path));
  }
  return new Map(
    files.map((file) => {
      const path = bundles.get(file);
      if (path === undefined) throw new Error(`${file} has no bundle`);
      return [path, file];
    }),
  );
}

/**
 * Bundles the programs into a folder, each by itself: what is imported while it runs, such as the
 * AWS SDK, is loaded only then.
 */
export async function bundlePrograms(folder: string): Promise<void> {
  await Promise.all(
    PROGRAMS.map((file) =>
      // There is less to read then, for each of hundreds of processes.
      bundle([file], folder, sourcePlaces(join(projectFolder, file)), { minifyWhitespace: true }),
    ),
  );
}

function bundle(
  files: readonly string[],
  folder: string,
  places: Plugin,
  { minifyWhitespace = false }: { minifyWhitespace?: boolean } = {},
) {
  return build({
    absWorkingDir: projectFolder,
    entryPoints: [...files],
    outdir: folder,
    outbase: projectFolder,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: `node${process.versions.node}`,
    sourcemap: true,
    minifyWhitespace,
    // Tools find their own files beside themselves.
    external: Object.keys(manifest.devDependencies).filter((name) => name !== "fast-check"),
    banner: { js: REQUIRE },
    plugins: [places],
    metafile: true,
  });
}
