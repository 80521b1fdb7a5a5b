/**
 * Runs the tests, and ends with a table: `npm test`, `npm run test:node`, `test:bun`, `test:deno`.
 *
 *     node --import tsx tests/run.ts [node] [bun] [deno] [FILE…]
 *
 * Without a runtime it is all three of them, without files all `*.test.ts` below `tests/`, some of
 * which only the first one runs. A file that does not load, a runtime that breaks down and a
 * run without a test are failures.
 */
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { runOnBun, runOnDeno } from "./runner/command.ts";
import { dividedFiles, filesOf, filesOfNode } from "./runner/divided.ts";
import { runOnNode } from "./runner/node.ts";
import { withPrograms } from "./runner/programs.ts";
import { WorkQueue } from "./runner/queue.ts";
import { type Result, tableOf } from "./runner/result.ts";
import { inTurns, type Print } from "./runner/turns.ts";

type Run = (files: readonly string[], queue: WorkQueue, print: Print) => Promise<Result>;

/** The first one has most files, and takes least CPU for each. The output follows this order. */
const runtimes: ReadonlyMap<string, Run> = new Map([
  ["bun", runOnBun],
  ["deno", runOnDeno],
  ["node", runOnNode],
]);

/** Processes at once: more than run, because most of them wait now and then. */
const AT_ONCE = 4 * availableParallelism();

const args = process.argv.slice(2);
const chosen = args.filter((arg) => runtimes.has(arg));
const given = args.filter((arg) => !runtimes.has(arg)).map((file) => resolve(file));
const running = [...runtimes].filter(([name]) => chosen.length === 0 || chosen.includes(name));

const queue = new WorkQueue(AT_ONCE);
// Side by side, because tests wait as well as work.
const results = await withPrograms(() =>
  inTurns(
    running.map(([name, run]) => (print: Print) => {
      const files = given.length > 0 ? given : testsOf(name);
      print(`\n${name}, ${files.length} files\n`);
      return run(files, queue, print);
    }),
    (text) => process.stdout.write(text),
  ),
);

const sum = (count: (result: Result) => number) =>
  results.reduce((total, result) => total + count(result), 0);
const failed = sum((result) => result.failed.length) + results.filter(isEmpty).length;
console.log(`\n${tableOf(results)}\n`);
for (const { runtime } of results.filter(isEmpty)) console.log(`${runtime} found no test`);
if (given.length === 0 && running.length > 1) {
  console.log(
    `${dividedFiles.length} files ran on ${running[0]?.[0]} alone: no runtime changes their logic`,
  );
  if (running.some(([name]) => name === "node")) {
    console.log(
      `${filesOfNode.length} files ran on node alone: what they start is the same on each`,
    );
  }
}
console.log(
  `${sum((result) => result.passed)} passed, ${failed} failed, ${sum((result) => result.skipped.length)} skipped`,
);
process.exitCode = failed > 0 ? 1 : 0;

/** True when nothing was tested, which must not look like success. */
function isEmpty({ passed, failed, skipped }: Result): boolean {
  return passed + failed.length + skipped.length === 0;
}

/** All tests that a runtime runs beside others. Backwards, because the client's files take least. */
function testsOf(runtime: string): string[] {
  const names = readdirSync(import.meta.dirname, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .sort()
    .reverse();
  const all = running.map(([name]) => name);
  return filesOf(names, runtime, all).map((name) => join(import.meta.dirname, name));
}
