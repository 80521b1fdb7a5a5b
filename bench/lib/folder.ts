import { mkdtempSync, rmSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";

/**
 * Runs work with a new folder below `parent`, and removes the folder afterwards. A signal ends the
 * process without its `finally` blocks, so the folder is removed at Ctrl-C and SIGTERM as well.
 */
export async function withTemporaryFolder<Result>(
  parent: string,
  work: (folder: string) => Promise<Result>,
): Promise<Result> {
  const folder = mkdtempSync(join(parent, "sync-server-"));
  // A server may still write into it.
  const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  const end = (signal: "SIGINT" | "SIGTERM") => {
    remove();
    process.exit(128 + constants.signals[signal]);
  };
  process.once("SIGINT", end).once("SIGTERM", end);
  try {
    return await work(folder);
  } finally {
    process.off("SIGINT", end).off("SIGTERM", end);
    remove();
  }
}
