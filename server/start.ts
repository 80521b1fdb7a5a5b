/** What starting and ending a process depends on: the runtime, and the programs that start it. */
import { existsSync, realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import manifest from "../package.json" with { type: "json" };

/** How often the parent is looked for. */
const LOOK_EVERY_MS = 500;

/** The versions of a process, as `process.versions` has them. */
interface Versions {
  readonly node: string;
  readonly bun?: string | undefined;
  readonly deno?: string | undefined;
}

/** Why this version of Node cannot run the server; `undefined` where it can, and on Bun and Deno. */
export function nodeTooOld({ node, bun, deno }: Versions): string | undefined {
  if (bun !== undefined || deno !== undefined) return undefined;
  const needed = manifest.engines.node.replace(">=", "");
  const parts = (version: string) => version.split(".").map(Number);
  const [major = 0, minor = 0] = parts(node);
  const [leastMajor = 0, leastMinor = 0] = parts(needed);
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) return undefined;
  return `Sync-Server needs Node ${needed} or later. This is Node ${node}.`;
}

/**
 * True when the module was started, not imported. Before Node 24.2, only the arguments say so; pm2
 * imports what it starts, and names it in the environment.
 */
export function isStarted(module: ImportMeta): boolean {
  const file = fileURLToPath(module.url);
  const isThis = (path: string | undefined) =>
    path !== undefined && existsSync(path) && realpathSync(path) === file;
  if (isThis(process.env.pm_exec_path)) return true;
  return module.main ?? isThis(process.argv[1]);
}

/**
 * Calls back once the process that started this one has ended, where that was npm: SIGTERM ends npm
 * and its shell, and neither passes it on. Anything else may end and leave a server running, as a
 * shell does that started one in the background.
 */
export function onOrphaned(orphaned: () => void): void {
  if (process.env.npm_command === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    orphaned();
  }, LOOK_EVERY_MS);
  timer.unref();
}
