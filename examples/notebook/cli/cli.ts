/**
 * The notebook on the command line. It runs on Node, Bun and Deno:
 *
 *     npx tsx examples/notebook/cli/cli.ts --help
 *     npx bun examples/notebook/cli/cli.ts --help
 *     npx deno run -A examples/notebook/cli/cli.ts --help
 */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { InvalidKey } from "../../../client/identity.ts";
import { ServerRejected, ServerUnavailable, StoreDamaged } from "../../../client/index.ts";
import { PairingFailed } from "../../../client/pairing.ts";
import { helpFor, OPTIONS, optionsOf, overview } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { hasCode, InvalidArguments, UsageError } from "./errors.ts";
import { print, printable } from "./terminal.ts";

/** Errors whose message is enough for a person; any other is printed with its stack trace. */
const EXPECTED = [
  UsageError,
  InvalidKey,
  PairingFailed,
  RangeError,
  ServerRejected,
  StoreDamaged,
  ServerUnavailable,
];

async function main(args: readonly string[]): Promise<void> {
  const { values, positionals } = parse(args);
  const [name, ...words] = positionals;
  if (name === undefined) {
    await print(overview(COMMANDS));
    if (!values.help) process.exitCode = 2;
    return;
  }
  const command = COMMANDS.find((one) => one.name === name);
  if (command === undefined) throw new InvalidArguments(`there is no command ${name}`);
  if (values.help) return print(helpFor(command));
  const options: readonly string[] = optionsOf(command);
  for (const option of Object.keys(values)) {
    if (!options.includes(option)) throw new InvalidArguments(`${name} has no option --${option}`);
  }
  const surplus = words.slice(command.words?.max ?? 0);
  if (surplus.length > 0) throw new InvalidArguments(`${name} does not take ${surplus.join(" ")}`);
  const { folder = process.env.SYNC_FOLDER || join(homedir(), ".sync-notebook") } = values;
  if (folder === "") throw new InvalidArguments("--folder is empty");
  // Before a device is made: a code never has other characters.
  if (values.invite !== undefined && !/^[!-~]+$/.test(values.invite)) {
    throw new InvalidArguments("--invite takes the code of an invite, which has no blanks");
  }
  await command.run({ ...values, folder: resolve(folder), words });
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new InvalidArguments(error instanceof Error ? error.message : String(error));
  }
}

/** Whether the system reported it, such as ENOENT or ENOSPC. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && "code" in error && /^E[A-Z0-9]+$/.test(String(error.code));
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof InvalidArguments) {
    console.error(`${error.message}\nSee --help.`);
    process.exitCode = 2;
  } else if (!hasCode(error, "EPIPE")) {
    // EPIPE is no failure: the reader of standard output, such as `head`, has enough.
    const isExpected = isSystemError(error) || EXPECTED.some((kind) => error instanceof kind);
    console.error(
      isExpected && error instanceof Error ? printable(`Error: ${error.message}`) : error,
    );
    process.exitCode = 1;
  }
}
