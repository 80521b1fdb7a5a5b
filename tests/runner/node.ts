import { run } from "node:test";
import { inspect } from "node:util";
import type { Result, Skip } from "./result.ts";

/** Files at once. */
const CONCURRENCY = 3;
/** How long a file may take, in milliseconds. */
const FILE_TIMEOUT_MS = 600_000;
const LINE_WIDTH = 100;

/** Runs test files on the Node that runs this. Prints a dot a test, then the failures in full. */
export async function runOnNode(files: readonly string[]): Promise<Result> {
  const startedAt = performance.now();
  const skipped: Skip[] = [];
  const failures: string[] = [];
  /** What each file has printed: it says why one did not load. */
  const printed = new Map<string, string>();
  let passed = 0;
  let column = 0;
  const dot = (character: string) => {
    process.stdout.write(++column % LINE_WIDTH === 0 ? `${character}\n` : character);
  };
  const fail = (text: string) => {
    failures.push(text);
    dot("X");
  };

  for await (const { type, data } of run({
    files: [...files],
    concurrency: CONCURRENCY,
    timeout: FILE_TIMEOUT_MS,
  })) {
    if (type === "test:stdout" || type === "test:stderr") {
      printed.set(data.file, (printed.get(data.file) ?? "") + data.message);
    } else if (type === "test:pass") {
      const skip = data.skip ?? data.todo ?? false;
      if (skip !== false) {
        skipped.push({ test: data.name, reason: skip === true || skip === "" ? undefined : skip });
        dot(",");
      } else if (data.name === data.file) {
        fail(
          `${data.name}\nhas no test, or ended before it ran one\n${printed.get(data.name) ?? ""}`,
        );
      } else if (data.details.type !== "suite") {
        passed++;
        dot(".");
      }
    } else if (type === "test:fail") {
      const error: Error & { failureType?: unknown } = data.details.error;
      // A suite fails with a test in it, which was counted.
      if (error.failureType === "subtestsFailed") continue;
      const output = data.name === data.file ? (printed.get(data.name) ?? "") : "";
      fail(`${data.name}\n${data.file ?? ""}\n${output}${inspect(error.cause ?? error)}`);
    }
  }

  process.stdout.write("\n");
  for (const failure of failures) console.log(`\n✖ ${failure}`);
  return {
    runtime: `Node ${process.versions.node}`,
    passed,
    failed: failures.length,
    skipped,
    seconds: (performance.now() - startedAt) / 1000,
  };
}
