/** The arguments of `npm run bench`. */
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { ROWS } from "../scenarios.ts";
import type { Extent } from "./context.ts";
import { RUNTIMES, type RuntimeName } from "./runtimes.ts";

export interface Options extends Extent {
  readonly runtimes: readonly RuntimeName[];
  readonly rows: readonly string[];
  /** Where temporary folders are made. */
  readonly folder: string;
  /** Where the results are written: `results.json` and `results.md`. */
  readonly out: string;
  /** Keeps what the results there have of other runtimes and rows. */
  readonly add: boolean;
}

const FULL: Extent = { seconds: 1.5, warmUp: 4, rounds: 3, scale: 1 };
const QUICK: Extent = { seconds: 0.4, warmUp: 4, rounds: 2, scale: 0.1 };

export const HELP = `Measures the server against what the machine can do: npm run bench -- [options]

  --runtime LIST   of ${RUNTIMES.join(", ")}; all of them unless given
  --scenarios LIST of ${Object.keys(ROWS).join(", ")};
                   all of them unless given
  --quick          a tenth of the data and a third of the time: 3 minutes, not 17
  --seconds N      how long each stretch of load is (${FULL.seconds})
  --warm-up N      how long there is load before anything is measured (${FULL.warmUp})
  --rounds N       how often floor and server take turns (${FULL.rounds})
  --scale N        what sizes are multiplied by (${FULL.scale})
  --folder PATH    on the file system to measure; the system's temporary folder unless given
  --out PATH       folder for results.json and results.md (bench)
  --add            keeps the results that are there of other runtimes and rows
  --help           shows this text
`;

/** Arguments that mean nothing. The message is for a person. */
export class InvalidArguments extends Error {
  override name = "InvalidArguments";
}

/** Reads the arguments; `undefined` when help is asked for. Throws `InvalidArguments`. */
export function readOptions(args: string[]): Options | undefined {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const options = {
    runtime: text,
    scenarios: text,
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
  const { values } = parsed(() => parseArgs({ args, options, strict: true }));
  if (values.help) return undefined;
  const extent = values.quick ? QUICK : FULL;
  return {
    runtimes: listed("--runtime", values.runtime, RUNTIMES),
    rows: listed("--scenarios", values.scenarios, Object.keys(ROWS)),
    seconds: positive("--seconds", values.seconds, extent.seconds),
    warmUp: positive("--warm-up", values["warm-up"], extent.warmUp),
    rounds: Math.ceil(positive("--rounds", values.rounds, extent.rounds)),
    scale: positive("--scale", values.scale, extent.scale),
    folder: values.folder ?? tmpdir(),
    out: values.out ?? "bench",
    add: values.add,
  };
}

function parsed<Result>(parse: () => Result): Result {
  try {
    return parse();
  } catch (error) {
    throw new InvalidArguments(error instanceof Error ? error.message : String(error));
  }
}

function listed<Name extends string>(
  option: string,
  given: string | undefined,
  known: readonly Name[],
): readonly Name[] {
  if (given === undefined) return known;
  const names = given.split(",");
  const wrong = names.find((name) => !known.some((one) => one === name));
  if (wrong !== undefined) {
    throw new InvalidArguments(`${option}: there is no ${wrong}, only ${known.join(", ")}`);
  }
  return known.filter((name) => names.includes(name));
}

function positive(option: string, given: string | undefined, otherwise: number): number {
  const value = given === undefined ? otherwise : Number(given);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArguments(`${option} must be a number above 0, not ${given}`);
}
