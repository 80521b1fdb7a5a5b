/** The command line: finds the command, and runs it. */
import { existsSync } from "node:fs";
import { VERSION } from "../server/config.ts";
import { helpText } from "../server/help.ts";
import { shortenIds } from "../server/logger.ts";
import { misspelt } from "../server/misspelt.ts";
import { Settings } from "../server/settings.ts";
import { parseArguments } from "./arguments.ts";
import { type Command, type Option, WrongArgument } from "./command.ts";
import { conformance } from "./conformance/conformance.ts";
import { copy } from "./copy/copy.ts";
import { doctor } from "./doctor/doctor.ts";
import { commandHelp } from "./help.ts";
import { Output, OutputLost } from "./output.ts";
import { Progress } from "./progress.ts";
import { readStorage } from "./storage-setting.ts";
import { usage } from "./usage.ts";
import { users } from "./users/users.ts";
import { verify } from "./verify/verify.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface RunOptions {
  readonly args: readonly string[];
  readonly environment: Environment;
  /** Starts the server with these settings; resolves once it listens. */
  readonly serve: (environment: Environment) => Promise<void>;
  /** What to say of an error. */
  readonly explain: (error: unknown) => unknown;
}

const COMMANDS: readonly Command[] = [usage, verify, copy, doctor, users, conformance];

const HELP: Option = { name: "help", short: "h", meaning: "shows this text" };

/** What every command takes that prints a report. */
const COMMON: readonly Option[] = [
  { name: "json", meaning: "prints a JSON object a line, with whole fingerprints" },
  { name: "full", meaning: "prints fingerprints and client ids whole" },
  HELP,
];

const WRONG_ARGUMENT = 2;
const FAILED = 1;

/** Resolves with the exit code; `undefined` while the server runs. */
export async function runCommandLine(options: RunOptions): Promise<number | undefined> {
  const [word, ...rest] = options.args;
  const command = COMMANDS.find(({ name }) => name === word);
  try {
    if (command !== undefined) return await runCommand(command, rest, options);
    return await runServe(word === "serve" ? rest : options.args, options);
  } catch (error) {
    const isWrong = error instanceof WrongArgument;
    if (error instanceof OutputLost) {
      if (!error.isClosed) say(error.message);
    } else say(isWrong ? error.message : options.explain(error));
    return isWrong ? WRONG_ARGUMENT : (command?.failure ?? FAILED);
  }
}

async function runServe(
  args: readonly string[],
  { environment, serve }: RunOptions,
): Promise<number | undefined> {
  const settings = Object.keys(Settings.entries);
  const { positionals, options } = parseArguments(
    args,
    [
      ...settings.map((name) => ({ name: optionOf(name), value: "VALUE", meaning: "" })),
      HELP,
      { name: "version", meaning: "" },
    ],
    { most: 1, help: "--help" },
  );
  if (options.has("help")) console.log(helpText());
  else if (options.has("version")) console.log(VERSION);
  else {
    const [storage] = positionals;
    if (storage !== undefined) refuseMisspelt(storage);
    if (storage !== undefined && options.has(optionOf("STORAGE"))) {
      throw new WrongArgument(`Where to keep the data is given twice: leave out ${storage}.`);
    }
    const given = settings.map((name) => [name, options.get(optionOf(name))] as const);
    await serve({
      ...environment,
      ...(storage === undefined ? {} : { STORAGE: storage }),
      ...Object.fromEntries(given.filter(([, value]) => value !== undefined)),
    });
    return undefined;
  }
  return 0;
}

/** The option that stands for a setting: `--listing-ttl` for `LISTING_TTL`. */
function optionOf(setting: string): string {
  return setting.toLowerCase().replaceAll("_", "-");
}

/** Rather than to start a server on a new folder whose name is nearly that of a command. */
function refuseMisspelt(storage: string): void {
  const names = ["serve", ...COMMANDS.map(({ name }) => name)];
  const [near] = misspelt(
    [storage.toUpperCase()],
    names.map((name) => name.toUpperCase()),
  );
  if (near === undefined || existsSync(storage)) return;
  const meant = near[1].toLowerCase();
  throw new WrongArgument(
    `There is no command ${storage}: is it meant to be ${meant}? For a new folder, write ./${storage}.`,
  );
}

async function runCommand(
  command: Command,
  args: readonly string[],
  { environment }: RunOptions,
): Promise<number> {
  const options = [...command.options, ...COMMON];
  const help = `sync-server ${command.name} --help`;
  const given = parseArguments(args, options, { most: command.arguments?.length ?? 1, help });
  if (given.options.has("help")) {
    console.log(commandHelp({ ...command, options }));
    return 0;
  }
  const [argument] = given.positionals;
  const progress = new Progress();
  const isJson = given.options.has("json");
  const output = new Output({ progress, isJson, isFull: given.options.has("full") });
  const stopped = whenStopped(progress, command.stopped);
  const context = {
    ...{ ...given, environment, output, progress, signal: stopped.signal },
    get storage() {
      return readStorage(argument === undefined ? environment : { STORAGE: argument });
    },
  };
  try {
    const running = command.run(context);
    if (command.endsItself !== true) return await Promise.race([running, stopped.code]);
    const code = await running;
    return stopped.signal.aborted ? await stopped.code : code;
  } finally {
    progress.end();
    stopped.forget();
  }
}

/** The exit code once a signal says to stop. A second signal ends the process at once. */
function whenStopped(
  progress: Progress,
  what = "Nothing was changed: run it again for the whole report.",
): {
  readonly code: Promise<number>;
  readonly signal: AbortSignal;
  readonly forget: () => void;
} {
  let forget = () => undefined;
  const controller = new AbortController();
  const code = new Promise<number>((resolve) => {
    const stop = (signal: NodeJS.Signals) => {
      forget();
      progress.end();
      say(`Stopped before the end. ${what}`);
      resolve(signal === "SIGINT" ? 130 : 143);
      controller.abort();
    };
    process.on("SIGINT", stop).on("SIGTERM", stop);
    forget = () => {
      process.off("SIGINT", stop).off("SIGTERM", stop);
    };
  });
  return { code, signal: controller.signal, forget: () => forget() };
}

function say(what: unknown): void {
  console.error(typeof what === "string" ? shortenIds(what) : what);
}
