import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import manifest from "../../package.json" with { type: "json" };
import { projectFolder } from "./process.ts";

/** Builds the web page as `npm run page` does. */
export async function buildPage(): Promise<void> {
  const [bun = "", ...args] = manifest.scripts.page.split(" ");
  const command = join(projectFolder, "node_modules", ".bin", bun);
  await promisify(execFile)(command, args, { cwd: projectFolder });
}
