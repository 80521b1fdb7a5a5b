import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { projectFolder } from "../support/process.ts";
import { writeGroups } from "./groups.ts";
import { readReport } from "./junit.ts";
import type { WorkQueue } from "./queue.ts";
import type { Result } from "./result.ts";
import { type GroupReport, runSuite } from "./suite.ts";
import type { Print } from "./turns.ts";

/** Runs test files on the Bun of the development dependencies. */
export function runOnBun(files: readonly string[], queue: WorkQueue, print: Print) {
  const runtime = `Bun ${manifest.devDependencies.bun}`;
  return runByCommand({ runtime, files, floodsAfter: 1 / 3 }, queue, print, (module, report) => [
    ...["bun", "test", "--timeout", "600000", "--dots"],
    ...["--reporter", "junit", "--reporter-outfile", report, module],
  ]);
}

/**
 * Runs test files on the Deno of the development dependencies. It does not check types, as
 * `npm run typecheck` does that once for all.
 */
export function runOnDeno(files: readonly string[], queue: WorkQueue, print: Print) {
  const runtime = `Deno ${manifest.devDependencies.deno}`;
  return runByCommand({ runtime, files, floodsAfter: 2 / 3 }, queue, print, (module, report) => [
    ...["deno", "test", "--allow-all", "--no-check", "--reporter", "dot"],
    ...["--junit-path", report, module],
  ]);
}

interface Given {
  readonly runtime: string;
  readonly files: readonly string[];
  readonly floodsAfter: number;
}

async function runByCommand(
  { runtime, files, floodsAfter }: Given,
  queue: WorkQueue,
  print: Print,
  commandFor: (module: string, report: string) => readonly string[],
): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "sync-server-tests-"));
  const nameOf = (file: string) => relative(projectFolder, file);
  try {
    const groups = writeGroups(files, folder, nameOf, { floodsAfter });
    const runGroup = async (module: string, its: readonly string[]): Promise<GroupReport> => {
      const file = `${module}.xml`;
      const { code, output } = await run(commandFor(module, file));
      const report = readReport(existsSync(file) ? readFileSync(file, "utf8") : "");
      const { passed, skipped } = report;
      // A test may have ended the process as if it had succeeded, before anything was reported.
      if (code === 0 && passed + skipped.length > 0) return { ...report, failures: [] };
      // The report leaves out a process that broke down.
      const failed = report.failed.length > 0 ? report.failed : [its.map(nameOf).join(", ")];
      return { ...report, failed, failures: [output] };
    };
    return await runSuite({ runtime, groups, runGroup }, queue, print);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs a program of the development dependencies. */
async function run([program = "", ...args]: readonly string[]) {
  const child = spawn(join(projectFolder, "node_modules", ".bin", program), args, {
    cwd: projectFolder,
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [code]: (number | null)[] = await once(child, "close");
  return { code: code ?? 1, output: output.replace(DOT_LINES, "") };
}

/** Deno ends the line after each dot, where it does not write to a terminal. */
const DOT_LINES = /^[.,!]\n/gm;
