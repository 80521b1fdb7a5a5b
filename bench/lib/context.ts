/** What every row works with: the runtime it measures, how long and how much, and its folders. */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { Program } from "./program.ts";
import type { Runtime } from "./runtimes.ts";

export interface Extent {
  /** How long each stretch of load is. */
  readonly seconds: number;
  /** How long the server is loaded before it is measured: runtimes compile what runs often. */
  readonly warmUp: number;
  /** How often floor and server take turns. */
  readonly rounds: number;
  /** What the sizes of logs and the numbers of users are multiplied by. */
  readonly scale: number;
}

export class Ground implements Extent {
  readonly runtime: Runtime;
  readonly seconds: number;
  readonly warmUp: number;
  readonly rounds: number;
  readonly scale: number;
  readonly #parent: string;
  readonly #programs: Program[] = [];

  /** @param parent where folders are made: on the file system that is to be measured */
  constructor(runtime: Runtime, { seconds, warmUp, rounds, scale }: Extent, parent: string) {
    this.runtime = runtime;
    this.seconds = seconds;
    this.warmUp = warmUp;
    this.rounds = rounds;
    this.scale = scale;
    this.#parent = parent;
  }

  /** A size from the table, scaled. */
  size(full: number): number {
    return Math.max(1, Math.round(full * this.scale));
  }

  /**
   * A new folder. It stays until the whole run is over: removing many files slows what comes after,
   * on some file systems for half a minute.
   */
  folder(): string {
    return mkdtempSync(join(this.#parent, "row-"));
  }

  /** The server, as a user starts it, but without its limits for users and its log. */
  server(storage: string, settings: Readonly<Record<string, string>> = {}): Promise<Program> {
    return this.#start("server.ts", {
      HOST: "127.0.0.1",
      PORT: "0",
      STORAGE: storage,
      RATE_LIMIT: "0",
      NEW_USERS_PER_HOUR: "0",
      QUOTA_BYTES: "0",
      LOG: "silent",
      ...settings,
    });
  }

  httpFloor(): Promise<Program> {
    return this.#start("bench/baselines/http.ts");
  }

  filesFloor(): Promise<Program> {
    return this.#start("bench/baselines/files.ts");
  }

  /** Ends the programs that were started. */
  async stop(): Promise<void> {
    for (const program of this.#programs.splice(0)) await program.stop();
  }

  async #start(file: string, settings?: Readonly<Record<string, string>>): Promise<Program> {
    const program = await Program.start(this.runtime, file, settings);
    this.#programs.push(program);
    return program;
  }
}
