/** What a command prints. */
import { shortenIds } from "../server/logger.ts";
import type { Progress } from "./progress.ts";

/** Standard output takes nothing, as when a disk is full. */
export class OutputLost extends Error {
  override name = "OutputLost";
  /** True where nobody reads it any more: a pipe that was closed. */
  readonly isClosed: boolean;
  constructor(cause: Error) {
    super(`standard output takes nothing: ${cause.message}`, { cause });
    this.isClosed = "code" in cause && cause.code === "EPIPE";
  }
}

export interface OutputOptions {
  readonly progress: Progress;
  /** One JSON object a line, instead of text for people. */
  readonly isJson: boolean;
  /** Whether fingerprints and client ids are printed whole. They always are in JSON. */
  readonly isFull: boolean;
  /** Takes a line; resolves once the next one may come. Standard output by default. */
  readonly write?: (line: string) => Promise<void>;
}

/** The report of a command, a line at a time. */
export class Output {
  readonly isJson: boolean;
  readonly isFull: boolean;
  readonly #progress: Progress;
  readonly #writeLine: (line: string) => Promise<void>;

  constructor({ progress, isJson, isFull, write }: OutputOptions) {
    this.isJson = isJson;
    this.isFull = isFull || isJson;
    this.#progress = progress;
    this.#writeLine = write ?? toStandardOutput();
  }

  /** Prints an object with `--json`, and a line of text otherwise. Throws `OutputLost`. */
  print(json: object, text: string): Promise<void> {
    return this.#write(this.isJson ? JSON.stringify(json) : text);
  }

  /**
   * Prints a line, unless it is to be JSON.
   *
   * @param isFull whether ids are printed whole in any case: a person has to pass them on
   */
  async text(line: string, isFull = this.isFull): Promise<void> {
    if (!this.isJson) await this.#write(line, isFull);
  }

  #write(line: string, isFull = this.isFull): Promise<void> {
    this.#progress.clear();
    return this.#writeLine(isFull ? line : shortenIds(line));
  }
}

/** Resolves once the system has taken a line, so that nothing accumulates for a slow reader. */
function toStandardOutput(): (line: string) => Promise<void> {
  // The stream also emits the error, which would end the process with a stack trace.
  process.stdout.on("error", () => undefined);
  return (line) =>
    new Promise((resolve, reject) => {
      const lost = (error: unknown) =>
        reject(error instanceof Error ? new OutputLost(error) : error);
      try {
        process.stdout.write(`${line}\n`, (error) => (error ? lost(error) : resolve()));
      } catch (error) {
        // Deno throws where a file takes nothing.
        lost(error);
      }
    });
}

const UNITS = ["KiB", "MiB", "GiB", "TiB"];

/** A size for people, such as 1.5 MiB. */
export function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let [size, unit] = [bytes, "B"];
  for (const next of UNITS) {
    if (size < 1024) break;
    [size, unit] = [size / 1024, next];
  }
  return `${size.toFixed(1)} ${unit}`;
}

/** A count with its noun: 1 hole, 2 holes. */
export function countText(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
