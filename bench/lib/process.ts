/** Processes to measure: how they start and end, and the CPU and memory they use. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { memoryOf } from "./memory.ts";
import type { Runtime } from "./runtimes.ts";

export const projectFolder = fileURLToPath(new URL("../..", import.meta.url));

/** How to start something, and which line of its output says that it is ready. */
interface Start {
  /** The working directory; this project's unless given. */
  readonly folder?: string | undefined;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  readonly ready: RegExp;
}

export interface Launch extends Start {
  readonly runtime: Runtime;
  /** Relative to `folder`. */
  readonly file: string;
}

export interface Program extends Start {
  /** For errors. */
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

export interface Launched {
  readonly child: ChildProcess;
  /** The match of `Start.ready`. */
  readonly ready: RegExpExecArray;
  readonly ended: Promise<unknown>;
  /** Resolves to the next line of its output. Throws if the process ends instead. */
  readonly nextLine: () => Promise<string>;
}

/** Starts a file on a runtime. */
export function launch({ runtime, file, folder, environment, ready }: Launch): Promise<Launched> {
  const name = `${file} on ${runtime.name}`;
  return launchProgram({ name, command: [...runtime.command, file], folder, environment, ready });
}

/** Starts a process and waits until it is ready. Throws its output if it ends before. */
export async function launchProgram(options: Program): Promise<Launched> {
  const { name, folder = projectFolder, environment } = options;
  const [command, ...args] = options.command;
  const child = spawn(command, args, {
    cwd: folder,
    env: { ...process.env, NO_COLOR: "1", ...environment },
    stdio: ["pipe", "pipe", "pipe"],
  });
  // A measurement that fails leaves no process behind.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("close", () => process.off("exit", kill));
  let output = "";
  child.stderr.on("data", (data) => {
    output += data;
  });
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => {
    output += `${line}\n`;
  });
  const ended = once(child, "close");
  const failure = ended.then(([code]): never => {
    throw new Error(`${name} ended with ${code}: ${output}`);
  });
  // Without this, a process that ends while nothing waits for a line would end this one too.
  failure.catch(() => undefined);
  const ready = new Promise<RegExpExecArray>((resolve) => {
    const look = (line: string) => {
      const match = options.ready.exec(line);
      if (match === null) return;
      lines.off("line", look);
      resolve(match);
    };
    lines.on("line", look);
  });
  return {
    child,
    ready: await Promise.race([ready, failure]),
    ended,
    nextLine: async () => {
      const line = new Promise<string>((resolve) => lines.once("line", resolve));
      return Promise.race([line, failure]);
    },
  };
}

export class MeasuredProcess {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #residentBefore = 0;
  /** Microseconds of CPU by thread, as last read. */
  readonly #threads = new Map<string, number>();

  constructor({ child, ended }: Launched) {
    if (child.pid === undefined) throw new Error("the process did not start");
    this.pid = child.pid;
    this.#child = child;
    this.#ended = ended;
  }

  /**
   * CPU time used so far by all threads, user and system, in microseconds. The scheduler counts
   * nanoseconds per thread, where /proc/PID/stat has hundredths of a second. What a thread uses
   * between the last reading and its end is not counted; servers keep their threads.
   */
  cpu(): number {
    for (const thread of readdirSync(`/proc/${this.pid}/task`)) {
      const text = readFileSync(`/proc/${this.pid}/task/${thread}/schedstat`, "utf8");
      const [nanoseconds] = text.split(" ");
      this.#threads.set(thread, Number(nanoseconds) / 1000);
    }
    return [...this.#threads.values()].reduce((sum, used) => sum + used, 0);
  }

  /** Starts a new peak, which counts from the memory that is resident now. */
  resetPeak(): void {
    this.#residentBefore = memoryOf(this.pid).now;
    // 5 resets VmHWM to the resident memory: see proc(5).
    writeFileSync(`/proc/${this.pid}/clear_refs`, "5");
  }

  /** The highest resident memory since `resetPeak`, above what was resident then, in MB. */
  peak(): number {
    return (memoryOf(this.pid).peak - this.#residentBefore) / 1e6;
  }

  /** Ends the process, if it still runs. */
  async stop(): Promise<void> {
    this.#child.stdin?.end();
    this.#child.kill("SIGTERM");
    await this.#ended;
  }
}

/** How a process that serves HTTP says so. */
export const LISTENING = /listens on (http:\/\/\S+?),/;

/** A process that serves HTTP. */
export class HttpProcess extends MeasuredProcess {
  readonly url: string;

  /** @param launched with `LISTENING` as the line that says that it is ready */
  constructor(launched: Launched) {
    super(launched);
    this.url = launched.ready[1] ?? "";
  }
}
