/**
 * Test files in groups, for each of which a runtime starts once: that takes longer than most files,
 * half a second of CPU on Deno, and a tenth on Bun, which loads the modules of each file again.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** Files of a group. Those of one folder take similarly long, and come into different groups. */
const SIZE = 8;

/** Groups that take longest, which begin first: at the end, one would run alone. Files of a web page share a browser. */
const LONG = [
  [join("client", "silence.test.ts")],
  ["notebook-notes", "notebook-recovery", "notebook-sheet", "tabs", "todo", "yjs-editor"].map(e2e),
  ["notebook", "notebook-account", "notebook-offline", "notebook-start", "documents"].map(e2e),
  ["notebook-devices", "notebook-faults", "notebook-live", "notebook-pairing"].map(e2e),
  [join("packages", "packages.test.ts")],
  [join("commands", "conformance", "conformance.test.ts")],
  [join("storage", "s3.test.ts")],
  [join("client", "snapshots-tabs.test.ts")],
  [join("client", "snapshot-simulation.test.ts")],
];

/** Groups that need a process that does nothing else. */
const FLOODS = [[join("server", "floods.test.ts")], [join("server", "response-memory.test.ts")]];

function e2e(name: string): string {
  return join("e2e", `${name}.test.ts`);
}

/**
 * Short files that are started by themselves. Some replace timers of the process for a while: what others
 * have begun before would not end then. Measurements need a process that does nothing else.
 */
const ALONE = [
  join("server", "worst-texts.test.ts"),
  join("server", "stalled-readers.test.ts"),
  join("client", "clock.test.ts"),
  join("cluster", "unsettled.test.ts"),
  join("oplog", "unsettled-logs.test.ts"),
  join("server", "body-reader.test.ts"),
];

/** What the name of a test begins with that stands before those of a file, and has the file's name. */
export const BEFORE = "file ";

/** How a file is called, where it does not load or in the test before its tests. */
export type NameOf = (file: string) => string;

/**
 * Puts a module for each group into a folder: those that take longest first, and at the end short ones.
 *
 * @param floodsAfter which part of the others comes before the floods: those of two runtimes should not meet
 * @param announced whether each file has a test before its own, by which they can be told apart
 * @returns the modules, with the files of each
 */
export function writeGroups(
  files: readonly string[],
  folder: string,
  nameOf: NameOf,
  { floodsAfter, announced = false }: { floodsAfter: number; announced?: boolean },
): Map<string, readonly string[]> {
  const find = (name: string) => files.filter((file) => nameOf(file).endsWith(join("tests", name)));
  const findAll = (groups: readonly (readonly string[])[]) =>
    groups.map((names) => names.flatMap(find)).filter(({ length }) => length > 0);
  const [long, floods] = [findAll(LONG), findAll(FLOODS)];
  const alone = ALONE.flatMap(find);
  const placed = new Set([...long, ...floods, alone].flat());
  const others = files.filter((file) => !placed.has(file));
  const count = Math.ceil(others.length / SIZE);
  const short = Array.from({ length: count }, (_, group) =>
    others.filter((_, i) => i % count === group),
  );
  const floodsAt = Math.floor(floodsAfter * count);
  const groups = [
    ...long,
    ...short.slice(0, floodsAt),
    ...floods,
    ...short.slice(floodsAt),
    ...alone.map((file) => [file]),
  ];
  return new Map(
    groups.map((its, i) => {
      const module = join(folder, `group-${i + 1}.test.mjs`);
      const named = its.map((file) => [nameOf(file), pathToFileURL(file).href] as const);
      writeFileSync(module, loading(named, announced));
      return [module, its];
    }),
  );
}

/** A module that loads files. One that does not load fails as a test, and the others run. */
function loading(
  files: readonly (readonly [name: string, url: string])[],
  announced: boolean,
): string {
  return `import { it } from "node:test";
for (const [name, url] of ${JSON.stringify(files)}) {
  ${announced ? `it("${BEFORE}" + name, () => {});` : ""}
  try {
    await import(url);
  } catch (error) {
    it(name, () => { throw error; });
  }
}
`;
}
