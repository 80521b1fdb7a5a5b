import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Runs work with a new folder below `parent`, and removes the folder afterwards. */
export async function withTemporaryFolder<Result>(
  parent: string,
  work: (folder: string) => Promise<Result>,
): Promise<Result> {
  const folder = mkdtempSync(join(parent, "sync-server-bench-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
