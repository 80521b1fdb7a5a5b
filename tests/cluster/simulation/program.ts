import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { type Program, projectFolder } from "../../support/process.ts";

export const RUNTIMES = ["Node", "Bun", "Deno"] as const;

export type Runtime = (typeof RUNTIMES)[number];

/** Builds the one file into a folder, and says how each runtime starts it. */
export function buildPrograms(folder: string): Readonly<Record<Runtime, Program>> {
  const file = join(folder, "server.js");
  const bin = join(projectFolder, "node_modules", ".bin");
  const bun = join(bin, "bun");
  execFileSync(bun, [join("scripts", "build.ts"), file], { cwd: projectFolder });
  return {
    Node: { command: [process.execPath, file], folder },
    Bun: { command: [bun, file], folder },
    Deno: { command: [join(bin, "deno"), "run", "--allow-all", file], folder },
  };
}
