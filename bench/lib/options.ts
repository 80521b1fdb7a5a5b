/** The arguments of `npm run bench`. */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { SCENARIOS } from "../scenarios.ts";
import type { BenchSettings } from "./context.ts";
import { RUNTIMES, type RuntimeName } from "./runtimes.ts";

export interface Options extends BenchSettings {
  readonly runtimes: readonly RuntimeName[];
  readonly scenarios: readonly string[];
  /** The checkout to compare with, if any. */
  readonly compare?: string;
  /** Parent of the temporary folders. */
  readonly folder: string;
  /** Where `results.json` and `results.md` are written. */
  readonly out: string;
  /** Keeps the results in `out` of other runtimes and scenarios. */
  readonly add: boolean;
}

const FULL: BenchSettings = { seconds: 1.5, warmUp: 4, rounds: 3, scale: 1 };
const QUICK: BenchSettings = { seconds: 0.4, warmUp: 4, rounds: 2, scale: 0.1 };

/** By chance, five rounds agree on the sign of a difference once in 16 times; two, every other time. */
const COMPARE_ROUNDS = 5;

export const HELP = `Measures the server beside baselines: npm run bench -- [options]

  --runtime LIST    of ${RUNTIMES.join(", ")}; default: all
  --scenarios LIST  of ${Object.keys(SCENARIOS).join(", ")};
                    default: all
  --compare DIR     measures the servers of this checkout and of the one in DIR in turns, and
                    prints the ratios; exits with 1 if one got worse by more than the noise
  --quick           a tenth of the data and a third of the time: 5 minutes instead of 20
  --seconds N       length of a sample (${FULL.seconds})
  --warm-up N       length of the load before the first sample (${FULL.warmUp})
  --rounds N        number of samples (${FULL.rounds}; ${COMPARE_ROUNDS} with --compare)
  --scale N         factor for the sizes of logs and the numbers of users (${FULL.scale})
  --folder PATH     on the file system to measure; default: the system's temporary folder
  --out PATH        folder for results.json and results.md (bench)
  --add             keeps the existing results of other runtimes and scenarios
  --help            shows this text
`;

/** Invalid arguments. The message is for a person. */
export class InvalidArguments extends Error {
  override name = "InvalidArguments";
}

/** Reads the arguments; `undefined` for `--help`. Throws `InvalidArguments`. */
export function readOptions(args: string[]): Options | undefined {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const options = {
    runtime: text,
    scenarios: text,
    compare: text,
    seconds: text,
    "warm-up": text,
    rounds: text,
    scale: text,
    folder: text,
    out: text,
    quick: flag,
    add: flag,
    help: flag,
  };
  const { values } = parse(() => parseArgs({ args, options, strict: true }));
  if (values.help) return undefined;
  const defaults = values.quick ? QUICK : FULL;
  const rounds = values.compare === undefined ? defaults.rounds : COMPARE_ROUNDS;
  return {
    runtimes: list("--runtime", values.runtime, RUNTIMES),
    scenarios: list("--scenarios", values.scenarios, Object.keys(SCENARIOS)),
    ...(values.compare === undefined ? {} : { compare: checkout(values.compare) }),
    seconds: positive("--seconds", values.seconds, defaults.seconds),
    warmUp: positive("--warm-up", values["warm-up"], defaults.warmUp),
    rounds: Math.ceil(positive("--rounds", values.rounds, rounds)),
    scale: positive("--scale", values.scale, defaults.scale),
    folder: values.folder ?? tmpdir(),
    out: values.out ?? "bench",
    add: values.add,
  };
}

function parse<Result>(parse: () => Result): Result {
  try {
    return parse();
  } catch (error) {
    throw new InvalidArguments(error instanceof Error ? error.message : String(error));
  }
}

function checkout(folder: string): string {
  const path = resolve(folder);
  if (existsSync(join(path, "server.ts")) && existsSync(join(path, "node_modules"))) return path;
  throw new InvalidArguments(`--compare: ${folder} is no checkout with server.ts and node_modules`);
}

function list<Name extends string>(
  option: string,
  given: string | undefined,
  known: readonly Name[],
): readonly Name[] {
  if (given === undefined) return known;
  const names = given.split(",");
  const unknown = names.find((name) => !known.some((one) => one === name));
  if (unknown !== undefined) {
    throw new InvalidArguments(`${option}: ${unknown} is none of ${known.join(", ")}`);
  }
  return known.filter((name) => names.includes(name));
}

function positive(option: string, given: string | undefined, otherwise: number): number {
  const value = given === undefined ? otherwise : Number(given);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArguments(`${option} must be a number above 0, not ${given}`);
}
