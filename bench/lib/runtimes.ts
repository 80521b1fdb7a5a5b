/** The runtimes, and how a TypeScript file is started on each: as README.md says. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export const RUNTIMES = ["node", "bun", "deno"] as const;
export type RuntimeName = (typeof RUNTIMES)[number];

export interface Runtime {
  readonly name: RuntimeName;
  readonly version: string;
  /** A file's path follows. */
  readonly command: readonly [string, ...string[]];
}

/** Finds a runtime: the Node that runs this, and the Bun and Deno that `npm ci` installs. */
export function runtimeOf(name: RuntimeName): Runtime {
  const binary =
    name === "node"
      ? process.execPath
      : fileURLToPath(new URL(`../../node_modules/.bin/${name}`, import.meta.url));
  const args = { node: ["--import", "tsx"], bun: [], deno: ["run", "--allow-all"] }[name];
  const told = execFileSync(binary, ["--version"], { encoding: "utf8" });
  const version = /\d+\.\d+\.\d+/.exec(told)?.[0] ?? "of an unknown version";
  return { name, version, command: [binary, ...args] };
}
