/** Reads the arguments of a command. */
import { parseArgs } from "node:util";
import { isFingerprint } from "../oplog/names.ts";
import { type Given, type Option, WrongArgument } from "./command.ts";

/** Stands before a fingerprint, which may begin with a hyphen and is no option. No argument can contain it. */
const NO_OPTION = "\0";

/**
 * `parseArgs` of `node:util` takes the arguments apart on all three runtimes. What is wrong with them
 * is said here: its own messages differ, and name none of the other options.
 *
 * @param most how many arguments may be no options
 * @param help how to ask for the list of options
 */
export function parseArguments(
  args: readonly string[],
  options: readonly Option[],
  { most, help }: { readonly most: number; readonly help: string },
): Given {
  const known = new Map(options.map((option) => [option.name, option]));
  const { tokens } = parseArgs({
    args: args.map((one) => (isFingerprint(one) ? NO_OPTION + one : one)),
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: Object.fromEntries(
      options.map(({ name, value, short }) => [
        name,
        {
          type: value === undefined ? ("boolean" as const) : ("string" as const),
          ...(short === undefined ? {} : { short }),
        },
      ]),
    ),
  });
  const positionals: string[] = [];
  const found = new Map<string, string>();
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(plain(token.value));
    if (token.kind !== "option") continue;
    const { name, rawName, value, inlineValue } = token;
    const option = known.get(name);
    if (option === undefined)
      throw new WrongArgument(`There is no argument ${rawName}: see ${help}.`);
    if (option.value === undefined) {
      if (value !== undefined) throw new WrongArgument(`${rawName} takes no value: see ${help}.`);
    } else if (value === undefined || (inlineValue !== true && value.startsWith("-"))) {
      throw new WrongArgument(
        `${rawName} needs a value, as in --${name} ${option.value}. Where that begins with -, write ` +
          `--${name}=${option.value}.`,
      );
    }
    found.set(name, plain(value ?? ""));
  }
  const extra = positionals[most];
  if (extra !== undefined) throw new WrongArgument(`There is no argument ${extra}: see ${help}.`);
  return { positionals, options: found };
}

function plain(value: string): string {
  return value.startsWith(NO_OPTION) ? value.slice(NO_OPTION.length) : value;
}
