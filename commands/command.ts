/** What a command is: its line in `--help`, the arguments that it takes, and its work. */
import type { Output } from "./output.ts";
import type { Progress } from "./progress.ts";

/** An option such as `--top N`. */
export interface Option {
  /** Without the dashes. */
  readonly name: string;
  /** One letter that stands for it. */
  readonly short?: string;
  /** How `--help` names its value; absent for one that takes none. */
  readonly value?: string;
  readonly meaning: string;
}

/** The arguments of a command, as they were given. */
export interface Given {
  readonly positionals: readonly string[];
  /** By name; "" for an option that takes no value. */
  readonly options: ReadonlyMap<string, string>;
}

/** What a command works with. */
export interface Context extends Given {
  /** Where to look: the first argument, or the setting `STORAGE`. */
  readonly storage: string;
  /** All settings. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly output: Output;
  readonly progress: Progress;
  /** Aborted once a signal says to stop. */
  readonly signal: AbortSignal;
}

/** A command that ends, unlike `serve`. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  /** More about it, for its own `--help`. */
  readonly details: string;
  /** How its arguments are named, where it takes others than one storage. */
  readonly arguments?: readonly string[];
  readonly options: readonly Option[];
  /** What each exit code says, beside those of all commands. */
  readonly exitCodes: readonly (readonly [code: number, meaning: string])[];
  /** The exit code where it fails. */
  readonly failure: number;
  /** What to say where a signal stops it, if it has changed something. */
  readonly stopped?: string;
  /** Whether it looks at `signal`, and has something to do after that. Others end at once. */
  readonly endsItself?: boolean;
  /** Resolves with the exit code. */
  readonly run: (context: Context) => Promise<number>;
}

/** Arguments that a command does not take. The message says what to do. */
export class WrongArgument extends Error {
  override name = "WrongArgument";
}
