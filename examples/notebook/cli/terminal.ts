/** What people see and type: output, progress, and the prompts. */
import { createInterface } from "node:readline";
import { StringDecoder } from "node:string_decoder";
import { UsageError } from "./errors.ts";

/**
 * Writes to standard output. Resolves once the system has taken the text; rejects if it does not,
 * because the disk is full or the pipe closed.
 */
export function print(text: string): Promise<void> {
  const { stdout } = process;
  return new Promise((resolve, reject) => {
    // The stream also emits the error, which would end the process with a stack trace.
    stdout.once("error", reject);
    stdout.write(text, (error) => {
      if (error) return reject(error);
      stdout.off("error", reject);
      resolve();
    });
  });
}

/** Replaces the control characters that a terminal obeys, except line feeds and tabs. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, "\u{fffd}");
}

/** After how many items a line is printed if there is no terminal to rewrite a line on. */
const PROGRESS_STEP = 250;

/** Shows the progress of a long transfer on standard error. */
export class Progress {
  readonly #verb: string;
  readonly #isTerminal = process.stderr.isTTY === true;
  #shown = 0;

  /** @param verb such as `sent` or `received` */
  constructor(verb: string) {
    this.#verb = verb;
  }

  /** @param total if it is known */
  show(count: number, total?: number): void {
    const next = this.#shown + (this.#isTerminal ? 1 : PROGRESS_STEP);
    if (count < next) return;
    this.#shown = count;
    const line = `${this.#verb} ${count}${total === undefined ? "" : ` of ${total}`}`;
    process.stderr.write(this.#isTerminal ? `\r\x1b[K${line}` : `${line}\n`);
  }

  /** Clears the line on the terminal. */
  end(): void {
    if (this.#isTerminal && this.#shown > 0) process.stderr.write("\r\x1b[K");
  }
}

const VARIABLE = "SYNC_PASSPHRASE";

/**
 * Takes the passphrase from the environment or asks for it. There is no argument for it, because
 * all users of a machine can see the arguments of a process.
 *
 * @param confirm asks a second time, for a new passphrase
 */
export async function readPassphrase({ confirm = false } = {}): Promise<string> {
  const passphrase = process.env[VARIABLE];
  if (passphrase !== undefined && passphrase !== "") return passphrase;
  if (!process.stdin.isTTY) {
    throw new UsageError(`set ${VARIABLE} to the passphrase: there is no terminal to type it at`);
  }
  const typed = await askHidden("Passphrase: ");
  if (confirm && (await askHidden("Once more: ")) !== typed) {
    throw new UsageError("the two passphrases differ: try again");
  }
  return typed;
}

/**
 * Asks for a line, which may also be piped in. Returns an empty text if there is none.
 *
 * @param signal ends the question when aborted, as if there were none
 */
export async function ask(question: string, signal?: AbortSignal): Promise<string> {
  process.stderr.write(question);
  const lines = createInterface({ input: process.stdin });
  const end = () => lines.close();
  signal?.addEventListener("abort", end);
  try {
    if (signal?.aborted) return "";
    for await (const line of lines) return line;
    return "";
  } finally {
    signal?.removeEventListener("abort", end);
    lines.close();
  }
}

const [ENTER, LINE_FEED, CONTROL_C, CONTROL_D] = ["\r", "\n", "\x03", "\x04"];
const ERASING = new Set(["\x7f", "\b"]);

/** Reads a line without showing it. */
function askHidden(question: string): Promise<string> {
  const { stdin, stderr } = process;
  const decoder = new StringDecoder("utf8");
  stderr.write(question);
  stdin.setRawMode(true);
  stdin.resume();
  return new Promise((resolve, reject) => {
    let typed: string[] = [];
    const end = () => {
      stdin.off("data", take);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write("\n");
    };
    const take = (data: Buffer) => {
      for (const character of decoder.write(data)) {
        if (character === ENTER || character === LINE_FEED) {
          end();
          return resolve(typed.join(""));
        }
        if (character === CONTROL_C || character === CONTROL_D) {
          end();
          return reject(new UsageError("no passphrase was entered"));
        }
        if (ERASING.has(character)) typed = typed.slice(0, -1);
        else typed.push(character);
      }
    };
    stdin.on("data", take);
  });
}
