import { availableParallelism } from "node:os";
import { join } from "node:path";
import { run } from "node:test";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { bundleTests } from "./bundle.ts";
import { BEFORE, writeGroups } from "./groups.ts";
import { bundleFolder } from "./programs.ts";
import type { Result, Skip } from "./result.ts";
import { inSources } from "./traces.ts";
import type { Print } from "./turns.ts";

/**
 * Files at once: more than run, because most of them wait now and then. Node has most to do: what it
 * does alone, once the other runtimes have ended, takes longest.
 */
const CONCURRENCY = availableParallelism() + 2;
/** How long a group of files may take, in milliseconds. */
const GROUP_TIMEOUT_MS = 1_200_000;
const LINE_WIDTH = 100;
/** What the process of each group loads first. */
const UNHOOKED = join(import.meta.dirname, "unhooked.ts");

/** Runs test files on the Node that runs this. Prints a dot a test, then the failures in full. */
export async function runOnNode(files: readonly string[], print: Print): Promise<Result> {
  const folder = bundleFolder();
  try {
    const sources = await bundleTests([UNHOOKED, ...files], folder.path);
    const [unhooked = "", ...bundles] = sources.keys();
    sources.delete(unhooked);
    // The bundles need no tsx, which each process would load again.
    process.execArgv = ["--import", pathToFileURL(unhooked).href];
    const sourceOf = (file: string) => sources.get(file) ?? file;
    // What takes longest begins first: at the end it would run alone.
    const how = { longAfter: 0, announced: true };
    const groups = writeGroups(bundles, folder.path, sourceOf, how);
    return await runGroups(groups, sources, print);
  } finally {
    folder.remove();
  }
}

/**
 * @param sources the path of each bundle, and that of the test file in it
 * @param groups the modules to be run, with the bundles that each loads
 */
async function runGroups(
  groups: ReadonlyMap<string, readonly string[]>,
  sources: ReadonlyMap<string, string>,
  print: Print,
): Promise<Result> {
  const startedAt = performance.now();
  const skipped: Skip[] = [];
  const failed: string[] = [];
  const failures: string[] = [];
  /** What each group has printed: it says why one ended. */
  const printed = new Map<string, string>();
  /** The tests of each file that have begun and not ended, each after the suite around it. */
  const running = new Map<string, string[]>();
  /** Files of which no test has begun. */
  const missing = new Set(sources.values());
  /** The file whose tests are reported. Those that a helper declares have the helper's path. */
  let current: string | undefined;
  let passed = 0;
  let column = 0;
  const sourceOf = (file = "") => sources.get(file) ?? file;
  const dot = (character: string) => {
    print(++column % LINE_WIDTH === 0 ? `${character}\n` : character);
  };
  const fail = (test: string, text: string) => {
    failed.push(test);
    failures.push(inSources(text));
    dot("X");
  };
  const end = ({ name, file }: { readonly name: string; readonly file?: string }) => {
    const names = running.get(sourceOf(file)) ?? [];
    const at = names.lastIndexOf(name);
    if (at !== -1) running.set(sourceOf(file), names.toSpliced(at, 1));
  };

  for await (const { type, data } of run({
    files: [...groups.keys()],
    concurrency: CONCURRENCY,
    timeout: GROUP_TIMEOUT_MS,
  })) {
    if (type === "test:stdout" || type === "test:stderr") {
      printed.set(data.file, (printed.get(data.file) ?? "") + data.message);
    } else if (type === "test:dequeue") {
      const file = sourceOf(data.file);
      if (data.name !== data.file) running.set(file, [...(running.get(file) ?? []), data.name]);
    } else if (type === "test:start") {
      const announced = groups.has(data.file ?? "") && data.name.startsWith(BEFORE);
      if (announced) current = data.name.slice(BEFORE.length);
      else if (current !== undefined) missing.delete(current);
    } else if (type === "test:pass") {
      end(data);
      if (groups.has(data.file ?? "")) continue;
      const skip = data.skip ?? data.todo ?? false;
      if (skip !== false) {
        skipped.push({ test: data.name, reason: skip === true || skip === "" ? undefined : skip });
        dot(",");
      } else if (data.details.type !== "suite") {
        passed++;
        dot(".");
      }
    } else if (type === "test:fail") {
      end(data);
      const error: Error & { failureType?: unknown } = data.details.error;
      // A suite fails with a test in it, which was counted.
      if (error.failureType === "subtestsFailed") continue;
      const text = (printed.get(data.name) ?? "") + inspect(error.cause ?? error);
      const files = groups.get(data.name)?.map(sourceOf);
      if (files?.some((file) => (running.get(file) ?? []).length > 0)) {
        // The test in which it ended is named below.
        printed.set(data.name, text);
        continue;
      }
      // A file that does not load has its own name there.
      const place = files ?? (groups.has(data.file ?? "") ? [] : [current, sourceOf(data.file)]);
      fail(data.name, [...new Set([data.name, ...place, text])].join("\n"));
    }
  }
  for (const [group, bundles] of groups) {
    for (const file of bundles.map(sourceOf)) {
      const names = running.get(file) ?? [];
      const reason =
        names.length > 0 ? "the process ended" : "has no test, or the process ended before it";
      if (names.length > 0 || missing.has(file)) {
        fail([file, ...names].join(" > "), `${file}\n${reason}\n${printed.get(group) ?? ""}`);
      }
    }
  }

  print("\n");
  for (const failure of failures) print(`\n✖ ${failure}\n`);
  return {
    runtime: `Node ${process.versions.node}`,
    passed,
    failed,
    skipped,
    seconds: (performance.now() - startedAt) / 1000,
  };
}
