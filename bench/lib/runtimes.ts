/** The runtimes, and how each starts a TypeScript file: as README.md says. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export const RUNTIMES = ["node", "bun", "deno"] as const;
export type RuntimeName = (typeof RUNTIMES)[number];

export interface Runtime {
  readonly name: RuntimeName;
  readonly version: string;
  /** Followed by the path of the file. */
  readonly command: readonly [string, ...string[]];
}

/** The runtime of this process. */
export function currentRuntime(): RuntimeName {
  if (process.versions.bun !== undefined) return "bun";
  return process.versions.deno !== undefined ? "deno" : "node";
}

/** Finds a runtime: the one of this process, or the Bun and Deno that `npm ci` installs. */
export function findRuntime(name: RuntimeName): Runtime {
  const binary =
    name === currentRuntime()
      ? process.execPath
      : fileURLToPath(new URL(`../../node_modules/.bin/${name}`, import.meta.url));
  const args = { node: ["--import", "tsx"], bun: [], deno: ["run", "--allow-all"] }[name];
  const printed = execFileSync(binary, ["--version"], { encoding: "utf8" });
  const version = /\d+\.\d+\.\d+/.exec(printed)?.[0];
  if (version === undefined) throw new Error(`${binary} --version printed no version: ${printed}`);
  return { name, version, command: [binary, ...args] };
}
