import { mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectFolder } from "../support/process.ts";
import { bundlePrograms } from "./bundle.ts";

/** A new folder for bundles, which find packages as the project does, and what removes it. */
export function bundleFolder(): { readonly path: string; readonly remove: () => void } {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "sync-server-tests-")));
  symlinkSync(join(projectFolder, "node_modules"), join(path, "node_modules"));
  // Node 24 starts tests through tsx nevertheless, which takes .js for CommonJS otherwise.
  writeFileSync(join(path, "package.json"), '{ "type": "module" }');
  return { path, remove: () => rmSync(path, { recursive: true }) };
}

/** Runs tests with bundles of the programs that they start; `tests/support/process.ts` finds them. */
export async function withPrograms<Result>(work: () => Promise<Result>): Promise<Result> {
  // Set where a test runs tests.
  if (process.env.TEST_PROGRAMS !== undefined) return work();
  const folder = bundleFolder();
  try {
    await bundlePrograms(folder.path);
    process.env.TEST_PROGRAMS = folder.path;
    return await work();
  } finally {
    folder.remove();
  }
}
