/** Small files that are written completely before they get their name, and are durable once that is reported. */
import { randomUUID } from "node:crypto";
import { open, rm } from "node:fs/promises";

/**
 * Writes a file beside a path, durably, and has it named. Rejects with an error of the system.
 *
 * @param name gives the file its path: `link`, where another file keeps it, or `rename`
 */
export async function writeNamed(
  path: string,
  text: string,
  name: (from: string, to: string) => Promise<void>,
): Promise<void> {
  const aside = `${path}.${randomUUID()}.new`;
  try {
    const file = await open(aside, "wx", 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await name(aside, path);
  } finally {
    await rm(aside, { force: true });
  }
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
