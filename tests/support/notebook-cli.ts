/** The notebook on the command line, as processes on the runtime of the test. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { commandFor, projectFolder } from "./process.ts";

const PASSPHRASE = "a passphrase for tests";

export interface Run {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

export interface RunOptions {
  /** `SYNC_PASSPHRASE` in its environment. */
  readonly passphrase?: string;
  /** Its standard input; `null` leaves it open. */
  readonly input?: string | null;
  /** The file for its standard output, instead of a pipe. */
  readonly output?: string;
  /** The time zone. */
  readonly zone?: string;
}

/** Runs commands, as processes of a program. */
function commandsOf(program: string) {
  /** Starts a command. */
  function start(
    args: readonly string[],
    { passphrase = PASSPHRASE, input = "", output, zone = "UTC" }: RunOptions = {},
  ): Run {
    const [command, ...rest] = commandFor(program);
    const file = output === undefined ? undefined : openSync(output, "w");
    const child = spawn(command, [...rest, ...args], {
      cwd: projectFolder,
      env: { ...process.env, NO_COLOR: "1", TZ: zone, SYNC_PASSPHRASE: passphrase },
      stdio: ["pipe", file ?? "pipe", "pipe"],
    });
    if (file !== undefined) closeSync(file);
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    let stdout = "";
    let stderr = "";
    child.stdout?.on("data", (data) => {
      stdout += data;
    });
    child.stderr?.on("data", (data) => {
      stderr += data;
    });
    if (input !== null) child.stdin?.end(input);
    const ended = once(child, "close").then(([code]) => {
      process.off("exit", kill);
      return { code, stdout, stderr };
    });
    return { child, stdout: () => stdout, stderr: () => stderr, ended };
  }

  /** Runs a command to its end. */
  function run(args: readonly string[], options: RunOptions = {}) {
    return start(args, options).ended;
  }

  /** Makes a notebook, with a device in each of two folders; gives the text of its key. */
  async function openNotebook(url: string, first: string, second: string): Promise<string> {
    const made = await run(["init", "--bits", "2048", "--server", url, "--folder", first]);
    assert.equal(made.code, 0, made.stderr);
    const { stdout: key } = await run(["export", "--folder", first]);
    const copied = await run(["import", "--server", url, "--folder", second], { input: key });
    assert.equal(copied.code, 0, copied.stderr);
    return key;
  }

  /** The texts that `log` prints. */
  async function logOf(folder: string): Promise<string[]> {
    const { code, stdout, stderr } = await run(["log", "--json", "--folder", folder]);
    assert.equal(code, 0, stderr);
    return stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).text);
  }

  return { start, run, openNotebook, logOf };
}

/** The notebook as people run it. */
export const notebook = commandsOf(join("examples", "notebook", "cli", "cli.ts"));

/** The same with fewer rounds for each passphrase. */
export const cheapNotebook = commandsOf(join("tests", "support", "notebook-process.ts"));
export const { start, run, openNotebook, logOf } = cheapNotebook;
