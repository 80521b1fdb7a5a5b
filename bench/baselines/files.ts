/**
 * Baseline: the file system without a server. Runs on Node, Bun and Deno. Reads tasks from standard
 * input, one a line, as JSON, and answers each with a line: how much was done and how long it took.
 *
 * - `objects`: create, write, fsync, close, rename into a folder, fsync of that folder. The folders
 *   exist already and are held open: the minimum that a durable object can cost.
 * - `append`: append to one file and fdatasync, with group commit: everything that waits is written
 *   at once and shares one fdatasync. The maximum for storage in one file.
 * - `read`: reads all files of a folder, 32 at a time.
 */
import { type FileHandle, mkdir, open, readdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import {
  type FileTask,
  type FileTaskResult,
  READY_FOR_TASKS,
  type TimedFileTask,
} from "../lib/file-task.ts";
import { percentile } from "../lib/sample.ts";
import { inParallel } from "../lib/workers.ts";

const PARALLEL_READS = 32;

/** Keeps `inFlight` of `work` running until the time is over. */
async function repeat(
  { inFlight, seconds, bytes }: TimedFileTask,
  work: (number: number, worker: number) => Promise<void>,
): Promise<FileTaskResult> {
  const latencies: number[] = [];
  const since = performance.now();
  await inParallel(inFlight, numbersUntil(since + seconds * 1000), async (number, worker) => {
    const start = performance.now();
    await work(number, worker);
    latencies.push(performance.now() - start);
  });
  return {
    requests: latencies.length,
    seconds: (performance.now() - since) / 1000,
    bytes: latencies.length * bytes,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
  };
}

/** Counts until a time of `performance.now()`. */
function* numbersUntil(end: number): Generator<number, void, void> {
  for (let number = 0; performance.now() < end; number++) yield number;
}

async function createObjects(task: TimedFileTask): Promise<FileTaskResult> {
  const temporary = join(task.folder, "temporary");
  await mkdir(temporary);
  const folders: { path: string; handle: FileHandle }[] = [];
  for (let i = 0; i < task.folders; i++) {
    const path = join(task.folder, String(i));
    await mkdir(path);
    folders.push({ path, handle: await open(path, "r") });
  }
  const body = Buffer.alloc(task.bytes, "x");
  const result = await repeat(task, async (number, worker) => {
    const folder = folders[worker % folders.length];
    if (folder === undefined) throw new Error("there must be a folder");
    const path = join(temporary, String(number));
    const file = await open(path, "wx", 0o600);
    await file.writeFile(body);
    await file.sync();
    await file.close();
    await rename(path, join(folder.path, String(number)));
    await folder.handle.sync();
  });
  for (const { handle } of folders) await handle.close();
  return result;
}

async function append(task: TimedFileTask): Promise<FileTaskResult> {
  const file = await open(join(task.folder, "log"), "a", 0o600);
  let waiting = 0;
  /** The last group that was started, and the group that gathers until it is written. */
  let running = Promise.resolve();
  let next: Promise<void> | undefined;
  const write = async () => {
    const body = Buffer.alloc(waiting * task.bytes, "x");
    waiting = 0;
    next = undefined;
    await file.write(body);
    await file.datasync();
  };
  const result = await repeat(task, () => {
    waiting++;
    if (next === undefined) {
      next = running.then(write);
      running = next;
    }
    return next;
  });
  await file.close();
  return result;
}

async function read(folder: string): Promise<FileTaskResult> {
  const since = performance.now();
  const names = await readdir(folder);
  let bytes = 0;
  await inParallel(PARALLEL_READS, names, async (name) => {
    // Not `+=`: it would read the sum before the await and lose what others add meanwhile.
    const { byteLength } = await readFile(join(folder, name));
    bytes += byteLength;
  });
  const ms = performance.now() - since;
  return { requests: names.length, seconds: ms / 1000, bytes, p50: ms, p99: ms };
}

function run(task: FileTask): Promise<FileTaskResult> {
  switch (task.work) {
    case "objects":
      return createObjects(task);
    case "append":
      return append(task);
    case "read":
      return read(task.folder);
  }
}

console.log(READY_FOR_TASKS);
for await (const line of createInterface({ input: process.stdin })) {
  const task: FileTask = JSON.parse(line);
  console.log(JSON.stringify(await run(task)));
}
