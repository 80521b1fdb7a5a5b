/**
 * The tests and the programs that they start, bundled for Node. Through tsx, each process would load
 * some hundred modules one by one, which takes a second of CPU, and a run has hundreds of processes.
 */
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";
import manifest from "../../package.json" with { type: "json" };
import { projectFolder } from "../support/process.ts";

/** Each module says where its source is, since that is how tests find other files. */
function sourcePlaces(
  pattern: RegExp,
  replacement: (place: Place, matched: string) => string,
): Plugin {
  return {
    name: "source-places",
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const place = { url: pathToFileURL(path).href, filename: path, dirname: dirname(path) };
        const text = await readFile(path, "utf8");
        const contents = text.replaceAll(pattern, (matched) => replacement(place, matched));
        return { contents, loader: "ts" };
      });
    },
  };
}

/** What `import.meta` says of a module's place. */
type Place = Readonly<Record<"url" | "filename" | "dirname", string>>;

/** Of a test all, so that a server in its bundle does not take itself for started. */
const OF_TESTS = sourcePlaces(/\bimport\.meta\b/g, (place) => `(${JSON.stringify(place)})`);
const OF_PROGRAMS = sourcePlaces(
  /\bimport\.meta\.(?:url|filename|dirname)\b/g,
  (place, matched) => `(${JSON.stringify(place)})${matched.slice("import.meta".length)}`,
);

/** What a bundle of packages in CommonJS calls. */
const REQUIRE =
  'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);';

/** Programs that tests start. */
const PROGRAMS = [
  "server.ts",
  join("examples", "notebook", "cli", "cli.ts"),
  join("bench", "cost", "cost.ts"),
  ...["append", "client", "durable", "envelope", "retrying", "store"].map((name) =>
    join("tests", "support", `${name}-process.ts`),
  ),
  join("tests", "support", "faulty-app.ts"),
];

/** Bundles test files into a folder, with what they share. Gives the source of each bundle, in order. */
export async function bundleTests(
  files: readonly string[],
  folder: string,
): Promise<Map<string, string>> {
  const { metafile } = await bundle(files, folder, true);
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

/** Bundles the programs into a folder, each as one file, by which it can tell that it is started. */
export async function bundlePrograms(folder: string): Promise<void> {
  await bundle(PROGRAMS, folder, false);
}

function bundle(files: readonly string[], folder: string, splitting: boolean) {
  return build({
    absWorkingDir: projectFolder,
    entryPoints: [...files],
    outdir: folder,
    outbase: projectFolder,
    bundle: true,
    splitting,
    format: "esm",
    platform: "node",
    target: `node${process.versions.node}`,
    sourcemap: true,
    // Tools find their own files beside themselves.
    external: Object.keys(manifest.devDependencies).filter((name) => name !== "fast-check"),
    banner: { js: REQUIRE },
    plugins: [splitting ? OF_TESTS : OF_PROGRAMS],
    metafile: true,
  });
}
