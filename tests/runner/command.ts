import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";
import manifest from "../../package.json" with { type: "json" };
import { projectFolder } from "../support/process.ts";
import { writeGroups } from "./groups.ts";
import { readReport } from "./junit.ts";
import type { Result } from "./result.ts";
import type { Print } from "./turns.ts";

/** Files at once on Bun, which has the divided files as well: one more than run, because most wait now and then. */
const ON_BUN = availableParallelism() + 1;

/** On Deno, which has the least to do: with one more it ends long before the others. */
const ON_DENO = availableParallelism();

/** Runs test files on the Bun of the development dependencies. It prints dots and failures. */
export function runOnBun(files: readonly string[], print: Print): Promise<Result> {
  return runCommand("Bun", print, (report, folder) => ({
    command: [
      ...["bun", "test", "--timeout", "600000", `--parallel=${ON_BUN}`],
      ...["--dots", "--reporter", "junit", "--reporter-outfile", report],
      ...writeGroups(files, folder, nameOf, { longAfter: 1 / 3 }).keys(),
    ],
    version: manifest.devDependencies.bun,
  }));
}

/**
 * Runs test files on the Deno of the development dependencies. It prints dots and failures. It does
 * not check types, as `npm run typecheck` does that once for all.
 */
export function runOnDeno(files: readonly string[], print: Print): Promise<Result> {
  return runCommand("Deno", print, (report, folder) => ({
    command: [
      ...["deno", "test", "--allow-all", "--no-check", "--parallel"],
      ...["--reporter", "dot", "--junit-path", report],
      ...writeGroups(files, folder, nameOf, { longAfter: 2 / 3 }).keys(),
    ],
    version: manifest.devDependencies.deno,
  }));
}

function nameOf(file: string): string {
  return relative(projectFolder, file);
}

async function runCommand(
  name: string,
  print: Print,
  how: (report: string, folder: string) => { command: readonly string[]; version: string },
): Promise<Result> {
  const startedAt = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "sync-server-tests-"));
  try {
    const file = join(folder, "report.xml");
    const { command, version } = how(file, folder);
    const code = await printed(command, print);
    const report = readReport(existsSync(file) ? readFileSync(file, "utf8") : "");
    return {
      runtime: `${name} ${version}`,
      passed: report.passed,
      // The report leaves out a runtime that broke down.
      failed: report.failed.length === 0 && code !== 0 ? ["a file, see above"] : report.failed,
      skipped: report.skipped,
      seconds: (performance.now() - startedAt) / 1000,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs a program of the development dependencies, prints its output, and gives its exit code. */
async function printed([program = "", ...args]: readonly string[], print: Print): Promise<number> {
  const child = spawn(join(projectFolder, "node_modules", ".bin", program), args, {
    cwd: projectFolder,
    env: { ...process.env, NO_COLOR: "1", DENO_JOBS: String(ON_DENO) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const closed = once(child, "close");
  child.stderr.setEncoding("utf8").on("data", print);
  let inDots = false;
  for await (const line of createInterface({ input: child.stdout })) {
    // Deno ends the line after each dot, where it does not write to a terminal.
    const isDot = /^[.,!]$/.test(line);
    print(isDot ? line : `${inDots ? "\n" : ""}${line}\n`);
    inDots = isDot;
  }
  const [code] = await closed;
  return code ?? 1;
}
