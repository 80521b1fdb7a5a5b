/** A command: its name, words, options and function, and the help text made from them. */

/** What a command runs with: its options and the words after its name. */
export interface Arguments {
  readonly folder: string;
  readonly words: readonly string[];
  readonly bits?: string;
  readonly file?: string;
  readonly invite?: string;
  readonly json?: boolean;
  readonly server?: string;
  readonly yes?: boolean;
}

/** As `node:util` parses them; `value` is the name of the value in the help text. */
export const OPTIONS = {
  bits: { type: "string", value: "N", help: "size of the RSA key, 2048 to 4096; default 3072" },
  file: {
    type: "string",
    value: "FILE",
    help: "take the whole file as one note; it has to be text",
  },
  folder: {
    type: "string",
    value: "PATH",
    help: "folder of the device; default SYNC_FOLDER, or .sync-notebook in the home folder",
  },
  help: { type: "boolean", short: "h", help: "show this text" },
  invite: {
    type: "string",
    value: "CODE",
    help: "code of an invite, for a server that accepts only the users on its list",
  },
  json: {
    type: "boolean",
    help: "print a JSON object a line: id, at and edited (ms since 1970), device, text",
  },
  server: {
    type: "string",
    value: "URL",
    help: "address of the server; default SYNC_SERVER, or http://localhost:8080",
  },
  yes: { type: "boolean", help: "do not ask for confirmation" },
} as const;

type OptionName = keyof typeof OPTIONS;

const COMMON_OPTIONS: readonly OptionName[] = ["folder", "help"];

export interface Command {
  readonly name: string;
  /** One line in the list of commands. */
  readonly summary: string;
  /** Further lines for its own help text. */
  readonly details?: string;
  /** The words it takes; none if absent. */
  readonly words?: { readonly name: string; readonly help: string; readonly max: number };
  /** Its options besides the common ones. */
  readonly options: readonly OptionName[];
  readonly run: (args: Arguments) => Promise<void>;
}

/** The options of a command, with the common ones. */
export function optionsOf({ options }: Command): OptionName[] {
  return [...options, ...COMMON_OPTIONS];
}

/** What `--help` prints. */
export function overview(commands: readonly Command[]): string {
  return `An encrypted notebook on the command line. A folder is a device, and all devices that have the
same key share one notebook.

Usage: cli.ts COMMAND [OPTIONS]

${rows(commands.map(({ name, summary }) => [name, summary]))}
Run \`cli.ts COMMAND --help\` for the options of a command.

Options of all commands:

${rows(COMMON_OPTIONS.map(optionRow))}
${PASSPHRASE}`;
}

/** What `COMMAND --help` prints. */
export function helpFor(command: Command): string {
  const { name, summary, details, words, options } = command;
  const sentence = `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
  const usage = options.map((option) => `[${flag(option)}]`);
  if (words !== undefined) usage.unshift(`[${words.name}${words.max > 1 ? "..." : ""}]`);
  const args: Row[] = words === undefined ? [] : [[words.name, words.help]];
  return `${sentence}${details === undefined ? "" : `\n${details}`}

Usage: ${["cli.ts", name, ...usage].join(" ")}

${rows([...args, ...optionsOf(command).map(optionRow)])}
${PASSPHRASE}`;
}

const PASSPHRASE = `The passphrase is read from the environment variable SYNC_PASSPHRASE, or asked for.
`;

type Row = readonly [name: string, text: string];

function optionRow(name: OptionName): Row {
  return [flag(name), OPTIONS[name].help];
}

function flag(name: OptionName): string {
  const option = OPTIONS[name];
  return "value" in option ? `--${name} ${option.value}` : `--${name}`;
}

function rows(all: readonly Row[]): string {
  return all.map(([name, text]) => `  ${name.padEnd(15)}${text}\n`).join("");
}
