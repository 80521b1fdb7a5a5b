import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inTime } from "./deadline.ts";

export const projectFolder = fileURLToPath(new URL("../..", import.meta.url));

/**
 * How a TypeScript file of the project is started on the runtime that runs this test. `tests/run.ts`
 * has made bundles of the programs that are started often.
 */
export function commandFor(file: string): [string, ...string[]] {
  const bundle = bundleOf(file);
  if (process.versions.bun !== undefined) return [process.execPath, bundle ?? file];
  if (process.versions.deno !== undefined) {
    return [process.execPath, "run", "--allow-all", bundle ?? file];
  }
  return [process.execPath, ...(bundle === undefined ? ["--import", "tsx", file] : [bundle])];
}

/** The same for a program whose first argument is the URL of a module that it imports. */
export function commandImporting(module: string, file: string): [string, ...string[]] {
  const bundle = bundleOf(relative(projectFolder, fileURLToPath(module)));
  return [...commandFor(file), bundle === undefined ? module : pathToFileURL(bundle).href];
}

function bundleOf(file: string): string | undefined {
  const { TEST_PROGRAMS: folder } = process.env;
  if (folder === undefined) return undefined;
  const bundle = join(folder, file.replace(/\.ts$/, ".js"));
  return existsSync(bundle) ? bundle : undefined;
}

/** What is run to start the server, and in which folder. */
export interface Program {
  readonly command: readonly [string, ...string[]];
  readonly folder: string;
}

export const fromSource: Program = { command: commandFor("server.ts"), folder: projectFolder };

/** Tests send more than a user and a network address may, unless it is what they are about. */
export const NO_LIMITS = { RATE_LIMIT: "0", NEW_USERS_PER_HOUR: "0" };

/** A server in a process of its own, on the runtime that runs this test. */
export interface ServerProcess {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** What it has printed to standard output and standard error. */
  readonly output: () => string;
  /** Resolves when it has ended by itself: the exit code, or the signal. */
  readonly ended: Promise<number | string | null>;
  /** Sends a signal to a process that has not ended, and waits for the end: the exit code, or the signal. */
  readonly end: (signal: NodeJS.Signals) => Promise<number | string | null>;
}

/** Starts the server and waits until it says where it listens. */
export async function startServer(
  settings: Readonly<Record<string, string>>,
  program = fromSource,
  args: readonly string[] = [],
): Promise<ServerProcess> {
  const { child, output } = run(program, args, { PORT: "0", ...NO_LIMITS, ...settings });
  const ended = once(child, "close");
  const listening = new Promise<string>((resolve, reject) => {
    const look = () => {
      const found = /listens on ((?:http:\/|unix:)\/\S+?),/.exec(output())?.[1];
      if (found !== undefined) resolve(found);
    };
    child.stdout?.on("data", look);
    child.once("close", (code) => reject(new Error(`it ended with ${code}: ${output()}`)));
  });
  const url = await inTime(listening, () => `the server listens: ${output()}`);
  return {
    url,
    port: Number(new URL(url).port),
    pid: child.pid ?? 0,
    output,
    ended: ended.then(([code, by]) => code ?? by),
    end: async (signal) => {
      const isRunning = child.exitCode === null && child.signalCode === null;
      // Not child.kill: Deno then reports the signal, whatever code the process ended with.
      if (isRunning) process.kill(child.pid ?? 0, signal);
      const [code, by] = await inTime(ended, () => `the server ends by ${signal}: ${output()}`);
      return code ?? by;
    },
  };
}

/** Runs the server with arguments to its end. */
export async function runToEnd(
  args: readonly string[],
  settings: Readonly<Record<string, string>> = {},
  program = fromSource,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { child, stdout, stderr, output } = run(program, args, settings);
  const [code] = await inTime(once(child, "close"), () => `the server ends: ${output()}`);
  return { code, stdout: stdout(), stderr: stderr() };
}

function run(
  program: Program,
  args: readonly string[],
  settings: Readonly<Record<string, string>>,
) {
  const [command, ...rest] = program.command;
  const child: ChildProcess = spawn(command, [...rest, ...args], {
    cwd: program.folder,
    env: { ...process.env, NO_COLOR: "1", ...settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
  // A test that fails leaves none behind.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("close", () => process.off("exit", kill));
  let out = "";
  let err = "";
  child.stdout?.on("data", (data) => {
    out += data;
  });
  child.stderr?.on("data", (data) => {
    err += data;
  });
  return { child, stdout: () => out, stderr: () => err, output: () => out + err };
}
