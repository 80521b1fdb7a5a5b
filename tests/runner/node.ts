import { join } from "node:path";
import { run } from "node:test";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { bundleTests } from "./bundle.ts";
import { BEFORE, writeGroups } from "./groups.ts";
import { bundleFolder } from "./programs.ts";
import type { WorkQueue } from "./queue.ts";
import type { Result, Skip } from "./result.ts";
import { type GroupReport, runSuite } from "./suite.ts";
import { inSources } from "./traces.ts";
import type { Print } from "./turns.ts";

/** How long a group of files may take, in milliseconds. */
const GROUP_TIMEOUT_MS = 1_200_000;
/** What the process of each group loads first. */
const UNHOOKED = join(import.meta.dirname, "unhooked.ts");

/** Runs test files on the Node that runs this. */
export async function runOnNode(
  files: readonly string[],
  queue: WorkQueue,
  print: Print,
): Promise<Result> {
  const folder = bundleFolder();
  try {
    const sources = await bundleTests([UNHOOKED, ...files], folder.path);
    const [unhooked = "", ...bundles] = sources.keys();
    sources.delete(unhooked);
    // The bundles need no tsx, which each process would load again.
    process.execArgv = ["--import", pathToFileURL(unhooked).href];
    const sourceOf = (file: string) => sources.get(file) ?? file;
    const how = { floodsAfter: 0, announced: true };
    const groups = writeGroups(bundles, folder.path, sourceOf, how);
    const runtime = `Node ${process.versions.node}`;
    const runGroup = (module: string, its: readonly string[]) =>
      runModule(module, its.map(sourceOf), sourceOf);
    return await runSuite({ runtime, groups, runGroup }, queue, print);
  } finally {
    folder.remove();
  }
}

/**
 * @param module what loads the bundles of test files
 * @param files the sources of these
 * @param sourceOf the source of a bundle
 */
async function runModule(
  module: string,
  files: readonly string[],
  sourceOf: (file: string) => string,
): Promise<GroupReport> {
  const skipped: Skip[] = [];
  const failed: string[] = [];
  const failures: string[] = [];
  /** What the process has printed: it says why it ended. */
  let printed = "";
  /** The tests of each file that have begun and not ended, each after the suite around it. */
  const running = new Map<string, string[]>();
  /** Files of which no test has begun. */
  const missing = new Set(files);
  /** The file whose tests are reported. Those that a helper declares have the helper's path. */
  let current: string | undefined;
  let passed = 0;
  const fail = (test: string, text: string) => {
    failed.push(test);
    failures.push(inSources(text));
  };
  const end = ({ name, file = "" }: { readonly name: string; readonly file?: string }) => {
    const names = running.get(sourceOf(file)) ?? [];
    const at = names.lastIndexOf(name);
    if (at !== -1) running.set(sourceOf(file), names.toSpliced(at, 1));
  };

  for await (const { type, data } of run({ files: [module], timeout: GROUP_TIMEOUT_MS })) {
    if (type === "test:stdout" || type === "test:stderr") {
      printed += data.message;
    } else if (type === "test:dequeue") {
      const file = sourceOf(data.file ?? "");
      if (data.name !== data.file) running.set(file, [...(running.get(file) ?? []), data.name]);
    } else if (type === "test:start") {
      const announced = data.file === module && data.name.startsWith(BEFORE);
      if (announced) current = data.name.slice(BEFORE.length);
      else if (current !== undefined) missing.delete(current);
    } else if (type === "test:pass") {
      end(data);
      if (data.file === module) continue;
      const skip = data.skip ?? data.todo ?? false;
      if (skip !== false) {
        skipped.push({ test: data.name, reason: skip === true || skip === "" ? undefined : skip });
      } else if (data.details.type !== "suite") {
        passed++;
      }
    } else if (type === "test:fail") {
      end(data);
      const error: Error & { failureType?: unknown } = data.details.error;
      // A suite fails with a test in it, which was counted.
      if (error.failureType === "subtestsFailed") continue;
      const ofProcess = data.name === module;
      const text = (ofProcess ? printed : "") + inspect(error.cause ?? error);
      if (ofProcess && files.some((file) => (running.get(file) ?? []).length > 0)) {
        // The test in which it ended is named below.
        printed = text;
        continue;
      }
      // A file that does not load has its own name there.
      const place = data.file === module ? [] : [current, sourceOf(data.file ?? "")];
      fail(data.name, [...new Set([data.name, ...(ofProcess ? files : place), text])].join("\n"));
    }
  }
  for (const file of files) {
    const names = running.get(file) ?? [];
    const reason =
      names.length > 0 ? "the process ended" : "has no test, or the process ended before it";
    if (names.length > 0 || missing.has(file)) {
      fail([file, ...names].join(" > "), `${file}\n${reason}\n${printed}`);
    }
  }
  return { passed, failed, skipped, failures };
}
