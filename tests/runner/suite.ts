/** Runs the groups of a runtime, each in a process of its own, and prints how they end. */
import type { Report } from "./junit.ts";
import type { WorkQueue } from "./queue.ts";
import type { Result } from "./result.ts";
import type { Print } from "./turns.ts";

export interface GroupReport extends Report {
  /** What is printed of what failed, in full. */
  readonly failures: readonly string[];
}

export interface Suite {
  /** Name and version. */
  readonly runtime: string;
  /** Modules in the order in which they begin, with the files of each. */
  readonly groups: ReadonlyMap<string, readonly string[]>;
  /** Runs a module. Only one that cannot be started rejects. */
  readonly runGroup: (module: string, files: readonly string[]) => Promise<GroupReport>;
}

const LINE_WIDTH = 100;

/** Prints a dot a test when its group has ended, and at the end the failures in full. */
export async function runSuite(
  { runtime, groups, runGroup }: Suite,
  queue: WorkQueue,
  print: Print,
): Promise<Result> {
  const startedAt = performance.now();
  let column = 0;
  const reports = await Promise.all(
    // The runtimes go on side by side, and their last groups, which are short, end together.
    [...groups].map(async ([module, files], at) => {
      const report = await queue.run(at / groups.size, () => runGroup(module, files));
      for (const dot of dotsOf(report)) {
        print(++column % LINE_WIDTH === 0 ? `${dot}\n` : dot);
      }
      return report;
    }),
  );
  print("\n");
  for (const failure of reports.flatMap(({ failures }) => failures)) print(`\n✖ ${failure}\n`);
  return {
    runtime,
    passed: reports.reduce((sum, { passed }) => sum + passed, 0),
    failed: reports.flatMap(({ failed }) => failed),
    skipped: reports.flatMap(({ skipped }) => skipped),
    seconds: (performance.now() - startedAt) / 1000,
  };
}

function dotsOf({ passed, failed, skipped }: Report): string {
  return ".".repeat(passed) + "X".repeat(failed.length) + ",".repeat(skipped.length);
}
