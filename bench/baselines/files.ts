/**
 * Baseline: the file system without a server. Runs on Node, Bun and Deno. Takes paths of folders
 * from standard input, one a line, reads all files of each, 32 at a time, and answers with a line of
 * JSON: how much was read and how long it took.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type FolderRead, READY_FOR_FOLDERS } from "../lib/folder-read.ts";
import { inParallel } from "../lib/workers.ts";

const PARALLEL_READS = 32;

async function read(folder: string): Promise<FolderRead> {
  const since = performance.now();
  const names = await readdir(folder);
  let bytes = 0;
  await inParallel(PARALLEL_READS, names, async (name) => {
    // Not `+=`: it would read the sum before the await and lose what others add meanwhile.
    const { byteLength } = await readFile(join(folder, name));
    bytes += byteLength;
  });
  return { files: names.length, bytes, milliseconds: performance.now() - since };
}

console.log(READY_FOR_FOLDERS);
for await (const folder of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await read(folder)));
}
