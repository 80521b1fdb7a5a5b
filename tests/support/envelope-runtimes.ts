/** Sealing and opening in a process of each runtime. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Line } from "../../protocol/types.ts";
import { commandFor, projectFolder } from "./process.ts";

/** Why a test runs on Node alone. */
export const STARTS_ALL = "the test on Node starts all three";

const FILE = join("tests", "support", "envelope-process.ts");
const bin = (name: string) => join(projectFolder, "node_modules", ".bin", name);

const COMMANDS = {
  Node: commandFor(FILE),
  Bun: [bin("bun"), FILE],
  Deno: [bin("deno"), "run", "--allow-all", FILE],
} as const;

export type Runtime = keyof typeof COMMANDS;

export const RUNTIMES: readonly Runtime[] = ["Node", "Bun", "Deno"];

/** The lines of a client that has created texts on a runtime. */
export function sealOn(
  runtime: Runtime,
  task: { readonly key: string; readonly client: string; readonly texts: readonly string[] },
): Promise<Line[]> {
  return run(runtime, task);
}

/** The texts in the lines of clients, as a runtime opens them. Fails when any is refused. */
export function openOn(
  runtime: Runtime,
  task: {
    readonly key: string;
    readonly runs: readonly { readonly client: string; readonly lines: readonly Line[] }[];
  },
): Promise<string[][]> {
  return run(runtime, task);
}

async function run(runtime: Runtime, task: unknown) {
  const [command, ...args] = COMMANDS[runtime];
  const child = spawn(command, args, {
    cwd: projectFolder,
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, NO_COLOR: "1" },
  });
  child.stdin.end(JSON.stringify(task));
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, "close")]);
  assert.equal(code, 0);
  return JSON.parse(output);
}
