/** The texts of `--help`. */
import { wrap } from "../server/help.ts";
import type { Command, Option } from "./command.ts";

const WIDTH = 78;

/** The `--help` of a command. */
export function commandHelp(command: Command): string {
  const { name, summary, details, arguments: given, options, exitCodes } = command;
  const storage = "STORAGE is the folder or the bucket, in place of the setting STORAGE.";
  const text = given === undefined ? `${details} ${storage}` : details;
  return `sync-server ${name}: ${summary}

Usage: sync-server ${name} ${given?.join(" ") ?? "[STORAGE]"} [OPTIONS]

${wrap(text, WIDTH).join("\n")}

${optionLines(options).join("\n")}

Exit codes:
${exitLines(exitCodes).join("\n")}
`;
}

function exitLines(own: Command["exitCodes"]): string[] {
  const codes = new Map<number, string>(own);
  const wrong = "there is no such argument, or its value is wrong";
  const other = codes.get(2);
  codes.set(2, other === undefined ? wrong : `${other}, or ${wrong}`);
  codes.set(130, "Ctrl-C (SIGINT) has stopped it");
  codes.set(143, "SIGTERM has stopped it");
  return [...codes].map(([code, meaning]) => `  ${String(code).padEnd(6)}${meaning}`);
}

function optionLines(options: readonly Option[]): string[] {
  const column = 24;
  return options.flatMap(({ name, short, value, meaning }) => {
    const letter = short === undefined ? "" : `-${short}, `;
    const left = `  ${letter}--${name}${value === undefined ? "" : ` ${value}`}`;
    const [first, ...rest] = wrap(meaning, WIDTH - column);
    return [`${left.padEnd(column)}${first}`, ...rest.map((line) => " ".repeat(column) + line)];
  });
}
