/** Reads the documents of the project, and runs the commands in their examples. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { commandFor, projectFolder } from "./process.ts";

/** The text of a file, by its path in the project. */
export function read(path: string): string {
  return readFileSync(join(projectFolder, path), "utf8");
}

/** The text below a heading of the second level, which is found by its title, without its number. */
export function section(document: string, title: string): string {
  const sections = document.split(/^## (?:\d+\. )?/m);
  const found = sections.find((text) => text.startsWith(`${title}\n`));
  assert.ok(found !== undefined, `there is no section ${title}`);
  return found.slice(title.length + 1);
}

/** The generated text between the comments `NAME:begin` and `NAME:end`. */
export function generated(document: string, name: string): string {
  const [, after] = document.split(`<!-- ${name}:begin -->\n`);
  const [text, rest] = after?.split(`<!-- ${name}:end -->`) ?? [];
  assert.ok(text !== undefined && rest !== undefined, `there is no generated text ${name}`);
  return text.trim();
}

/** The fenced blocks of a text. A body includes the line feed of its last line. */
export function fences(markdown: string): { language: string; body: string }[] {
  return [...markdown.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = "", body = ""]) => ({
    language,
    body,
  }));
}

/** The bodies of the fenced blocks of one language. */
export function blocksOf(markdown: string, language: string): string[] {
  return fences(markdown)
    .filter((fence) => fence.language === language)
    .map(({ body }) => body);
}

/**
 * Commands that start a program of the project through tsx, which takes four times the CPU of the
 * program: they start it as tests do. `tests/server/start.test.ts` has npm and tsx start the server.
 *
 * @param start what they start it by, such as `node --import tsx server.ts`
 */
export function startedHere(commands: string, start: string): string {
  assert.ok(commands.includes(start), `the commands begin with ${start}`);
  const quoted = commandFor(start.split(" ").at(-1) ?? "").map((word) => `'${word}'`);
  return commands.replaceAll(start, quoted.join(" "));
}

/** Runs blocks of commands in one shell, and returns the output of each. */
export async function runInBash(
  blocks: readonly string[],
  folder: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const script = join(folder, "script.sh");
  writeFileSync(script, blocks.join("printf '\\036'\n"));
  const { stdout } = await promisify(execFile)("bash", ["-euo", "pipefail", script], {
    cwd: folder,
    // mktemp creates its folders in this one.
    env: { ...process.env, no_proxy: "*", TMPDIR: folder, ...variables },
  });
  return stdout.split("\x1e");
}
