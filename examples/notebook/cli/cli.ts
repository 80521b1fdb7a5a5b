/**
 * The command line: an encrypted notebook. It runs on Node, Bun and Deno:
 *
 *     npx tsx examples/notebook/cli/cli.ts --help
 *     bun examples/notebook/cli/cli.ts --help
 *     deno run -A examples/notebook/cli/cli.ts --help
 */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import {
  InvalidKey,
  ServerRejected,
  ServerUnavailable,
  StoreDamaged,
} from "../../../client/index.ts";
import { commands } from "./commands.ts";
import { Advice, isCode } from "./device.ts";
import { HELP, isCommand } from "./help.ts";
import { print, printable } from "./output.ts";

/** Failures that a message explains well enough; of any other, the stack is shown as well. */
const EXPECTED = [Advice, InvalidKey, ServerRejected, StoreDamaged, ServerUnavailable];

const OPTIONS = {
  bits: { type: "string" },
  file: { type: "string" },
  folder: { type: "string" },
  help: { type: "boolean", short: "h" },
  json: { type: "boolean" },
  server: { type: "string" },
} as const;

/** Which options a command has, beyond those that all have. */
const TAKES: Readonly<Record<string, readonly string[]>> = {
  init: ["server", "bits"],
  import: ["server"],
  send: ["file"],
  log: ["json"],
  watch: ["json"],
};

/** How many words a command takes; others take none. */
const WORDS: Readonly<Record<string, number>> = { import: 1, send: Number.POSITIVE_INFINITY };

class Usage extends Error {}

async function main(args: readonly string[]): Promise<void> {
  const { values, positionals } = parse(args);
  const [name = "", ...words] = positionals;
  if (name === "" || values.help) {
    if (name !== "" && !isCommand(name)) throw new Usage(`there is no command ${name}`);
    await print(isCommand(name) ? HELP[name] : HELP[""]);
    if (name === "" && !values.help) process.exitCode = 2;
    return;
  }
  if (!isCommand(name)) throw new Usage(`there is no command ${name}`);
  for (const option of Object.keys(values)) {
    if (option !== "folder" && !TAKES[name]?.includes(option)) {
      throw new Usage(`${name} has no option --${option}`);
    }
  }
  const most = WORDS[name] ?? 0;
  if (words.length > most) throw new Usage(`${name} does not take ${words.slice(most).join(" ")}`);
  const { folder = process.env.SYNC_FOLDER || join(homedir(), ".sync-notebook") } = values;
  if (folder === "") throw new Usage("--folder is empty");
  await commands[name]({ ...values, folder: resolve(folder), words });
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new Usage(error instanceof Error ? error.message : String(error));
  }
}

/** Such as ENOENT and ENOSPC. */
function isOfSystem(error: unknown): boolean {
  return error instanceof Error && "code" in error && /^E[A-Z0-9]+$/.test(String(error.code));
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof Usage) {
    console.error(`${error.message}\nSee --help.`);
    process.exitCode = 2;
  } else if (!isCode(error, "EPIPE")) {
    // Not for a reader of standard output that has gone, as `head` does: it has what it wants.
    const told = isOfSystem(error) || EXPECTED.some((kind) => error instanceof kind);
    console.error(told && error instanceof Error ? printable(`Error: ${error.message}`) : error);
    process.exitCode = 1;
  }
}
