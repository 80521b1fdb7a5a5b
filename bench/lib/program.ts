/** A program in a process of its own: how it is started, what it uses, and how it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { FilesDone, FilesTask } from "../baselines/files.ts";
import type { Runtime } from "./runtimes.ts";

const projectFolder = fileURLToPath(new URL("../..", import.meta.url));

export class Program {
  readonly #child: ChildProcess;
  readonly #pid: number;
  #url = "";
  #lines: ((line: string) => void)[] = [];
  #output = "";
  #idle = 0;
  /** Microseconds of CPU by thread, as last read. */
  readonly #threads = new Map<string, number>();
  readonly #ended: Promise<unknown>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#pid = child.pid ?? 0;
    this.#ended = once(child, "close");
  }

  /** Starts a file of the project and waits until it says where it listens. */
  static async start(
    runtime: Runtime,
    file: string,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<Program> {
    const [command, ...args] = runtime.command;
    const child = spawn(command, [...args, file], {
      cwd: projectFolder,
      env: { ...process.env, NO_COLOR: "1", ...settings },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const program = new Program(child);
    // A measurement that fails leaves none behind.
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("close", () => process.off("exit", kill));
    child.stderr?.on("data", (data) => {
      program.#output += data;
    });
    await new Promise<void>((resolve, reject) => {
      child.once("close", (code) => {
        reject(new Error(`${file} on ${runtime.name} ended with ${code}: ${program.#output}`));
      });
      if (child.stdout === null) return;
      createInterface({ input: child.stdout }).on("line", (line) => {
        const found = /listens on (http:\/\/\S+?),/.exec(line)?.[1];
        if (found !== undefined) {
          program.#url = found;
          resolve();
        } else if (line.startsWith("{")) program.#lines.shift()?.(line);
        else program.#output += `${line}\n`;
      });
    });
    return program;
  }

  get url(): string {
    return this.#url;
  }

  /**
   * CPU time used so far by all its threads, user and system, in microseconds. The scheduler counts
   * nanoseconds for each thread, where /proc/PID/stat has hundredths of a second. What a thread uses
   * between the last reading and its end is lost; servers keep their threads.
   */
  cpu(): number {
    for (const thread of readdirSync(`/proc/${this.#pid}/task`)) {
      const [nanoseconds] = this.#proc(`task/${thread}/schedstat`).split(" ");
      this.#threads.set(thread, Number(nanoseconds) / 1000);
    }
    return [...this.#threads.values()].reduce((sum, used) => sum + used, 0);
  }

  /** From now on, the peak is counted from what memory it has now. */
  restPeak(): void {
    this.#idle = this.#memory("VmRSS");
    // 5 sets the peak back to what is resident now.
    writeFileSync(`/proc/${this.#pid}/clear_refs`, "5");
  }

  /** The most memory it has had since `restPeak`, above what it had then: resident, in MB. */
  peak(): number {
    return (this.#memory("VmHWM") - this.#idle) / 1e6;
  }

  /** Requests to storage so far, and other counters of a server, as `GET /metrics` has them. */
  async counters(): Promise<Counters> {
    const text = await (await fetch(new URL("/metrics", this.#url))).text();
    const of = (name: string, label: string, value: string) =>
      Number(new RegExp(`^${name}{${label}="${value}"} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
    const storage = (kind: string) => of("sync_storage_requests_total", "kind", kind);
    return {
      list: storage("list"),
      get: storage("get"),
      put: storage("put"),
      delete: storage("delete"),
      loads: of("sync_listing_cache_total", "event", "load"),
      cachedRuns: Number(/^sync_listing_cache_runs (\d+)$/m.exec(text)?.[1] ?? 0),
    };
  }

  /** Gives the file floor a task. */
  async ask(task: FilesTask): Promise<FilesDone> {
    const line = new Promise<string>((resolve) => this.#lines.push(resolve));
    this.#child.stdin?.write(`${JSON.stringify(task)}\n`);
    const ended = this.#ended.then(() => {
      throw new Error(`the floor ended: ${this.#output}`);
    });
    return JSON.parse(await Promise.race([line, ended]));
  }

  /** Ends it, if it has not ended yet. */
  async stop(): Promise<void> {
    this.#child.stdin?.end();
    this.#child.kill("SIGTERM");
    await this.#ended;
  }

  #proc(file: string): string {
    return readFileSync(`/proc/${this.#pid}/${file}`, "utf8");
  }

  #memory(field: string): number {
    const kB = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(this.#proc("status"))?.[1];
    return Number(kB) * 1024;
  }
}

export interface Counters {
  readonly list: number;
  readonly get: number;
  readonly put: number;
  readonly delete: number;
  /** Listings that were loaded from storage. */
  readonly loads: number;
  /** Runs in the listing cache: not a count of what happened, but what is there. */
  readonly cachedRuns: number;
}
