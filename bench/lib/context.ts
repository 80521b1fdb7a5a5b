/** Everything a scenario needs: the runtime, how long and how much, folders and processes. */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { type FileBaseline, startFileBaseline } from "./file-baseline.ts";
import { HttpProcess, LISTENING, launch, type MeasuredProcess } from "./process.ts";
import { type RedisProcess, startRedis } from "./redis.ts";
import type { Runtime, RuntimeName } from "./runtimes.ts";
import { NO_LIMITS, type ServerProcess, startServer } from "./server-process.ts";

export interface BenchSettings {
  /** How long a sample of load takes. */
  readonly seconds: number;
  /** How long the server is loaded before it is measured: runtimes compile code that runs often. */
  readonly warmUp: number;
  /** How many samples are taken of everything, in turns. */
  readonly rounds: number;
  /** Multiplies the sizes of logs and the numbers of users. */
  readonly scale: number;
}

export interface ContextOptions extends BenchSettings {
  readonly runtime: Runtime;
  /** Parent of all folders: on the file system to measure. */
  readonly folder: string;
  /** The checkout whose server is measured; this one unless given. */
  readonly checkout?: string;
}

export class BenchContext implements BenchSettings {
  readonly seconds: number;
  readonly warmUp: number;
  readonly rounds: number;
  readonly scale: number;
  readonly #options: ContextOptions;
  readonly #processes: MeasuredProcess[] = [];
  readonly #cleanUps: (() => Promise<void>)[] = [];

  constructor(options: ContextOptions) {
    this.seconds = options.seconds;
    this.warmUp = options.warmUp;
    this.rounds = options.rounds;
    this.scale = options.scale;
    this.#options = options;
  }

  /** A full size, scaled. */
  size(full: number): number {
    return Math.max(1, Math.round(full * this.scale));
  }

  /**
   * Makes a folder. It stays until the whole run is over: deleting many files slows the file system
   * down, sometimes for half a minute.
   */
  folder(): string {
    return mkdtempSync(join(this.#options.folder, "scenario-"));
  }

  get runtime(): RuntimeName {
    return this.#options.runtime.name;
  }

  /** Starts a server as a user would, but without its limits and its log. */
  server(storage: string, settings: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
    const { runtime, checkout } = this.#options;
    const all = { STORAGE: storage, LOG: "silent", ...NO_LIMITS, ...settings };
    return this.#kept(startServer(runtime, all, checkout));
  }

  /** The bare HTTP server, which stores nothing. */
  httpBaseline(): Promise<HttpProcess> {
    return this.#bareHttp({});
  }

  /** The bare HTTP server, which appends to one file with group commit. */
  groupCommitBaseline(): Promise<HttpProcess> {
    return this.#bareHttp({ APPEND_TO: join(this.folder(), "log") });
  }

  fileBaseline(): Promise<FileBaseline> {
    return this.#kept(startFileBaseline(this.#options.runtime));
  }

  /** Throws where it is not installed: see `hasRedis`. */
  redis(): Promise<RedisProcess> {
    return this.#kept(startRedis());
  }

  /** Does something when the context stops. */
  onStop(cleanUp: () => Promise<void>): void {
    this.#cleanUps.push(cleanUp);
  }

  /** Ends the processes that were started, the last one first, and cleans up. */
  async stop(): Promise<void> {
    for (const process of this.#processes.splice(0).toReversed()) await process.stop();
    for (const cleanUp of this.#cleanUps.splice(0)) await cleanUp();
  }

  #bareHttp(environment: Readonly<Record<string, string>>): Promise<HttpProcess> {
    const { runtime } = this.#options;
    const file = "bench/baselines/http.ts";
    const launched = launch({ runtime, file, environment, ready: LISTENING });
    return this.#kept(launched.then((launched) => new HttpProcess(launched)));
  }

  async #kept<Process extends MeasuredProcess>(starting: Promise<Process>): Promise<Process> {
    const process = await starting;
    this.#processes.push(process);
    return process;
  }
}
