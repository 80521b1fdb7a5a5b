/**
 * Floor: the file system without a server. Run on Node, Bun and Deno. Takes a task a line, as JSON,
 * on standard input, and answers each with a line: how much was done, and how long it took.
 *
 * - `objects`: create, write, fsync, close, rename into a folder, fsync of that folder. The folders
 *   are there already and held open; that is the least that a durable object of its own can cost.
 * - `append`: append to one file and fdatasync, with group commit: all that waits is written at once
 *   and shares one fdatasync. What storage of one file for all could reach.
 * - `read`: reads all files of a folder, 32 at a time.
 */
import { type FileHandle, mkdir, open, readdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { percentile } from "../lib/figures.ts";

interface TimedTask {
  readonly work: "objects" | "append";
  /** A folder that is there and empty. */
  readonly folder: string;
  /** Into how many folders the objects go; the ones in flight take them in turn. */
  readonly folders: number;
  readonly inFlight: number;
  /** Of each object. */
  readonly bytes: number;
  readonly seconds: number;
}

export type FilesTask = TimedTask | { readonly work: "read"; readonly folder: string };

export interface FilesDone {
  readonly requests: number;
  readonly seconds: number;
  readonly bytes: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

const READS_AT_ONCE = 32;

/** Has `inFlight` of `work` under way until the time is over. */
async function forSeconds(
  { inFlight, seconds, bytes }: TimedTask,
  work: (lane: number, count: number) => Promise<void>,
): Promise<FilesDone> {
  const took: number[] = [];
  const since = performance.now();
  const until = since + seconds * 1000;
  const lane = async (_: unknown, number: number) => {
    for (let count = 0; performance.now() < until; count++) {
      const at = performance.now();
      await work(number, count);
      took.push(performance.now() - at);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return {
    requests: took.length,
    seconds: (performance.now() - since) / 1000,
    bytes: took.length * bytes,
    p50: percentile(took, 0.5),
    p99: percentile(took, 0.99),
  };
}

async function objects(task: TimedTask): Promise<FilesDone> {
  const aside = join(task.folder, "aside");
  await mkdir(aside);
  const folders: { path: string; handle: FileHandle }[] = [];
  for (let i = 0; i < task.folders; i++) {
    const path = join(task.folder, String(i));
    await mkdir(path);
    folders.push({ path, handle: await open(path, "r") });
  }
  const body = Buffer.alloc(task.bytes, "x");
  const done = await forSeconds(task, async (lane, count) => {
    const folder = folders[lane % folders.length];
    if (folder === undefined) throw new Error("there must be a folder");
    const path = join(aside, `${lane}.${count}`);
    const file = await open(path, "wx", 0o600);
    await file.writeFile(body);
    await file.sync();
    await file.close();
    await rename(path, join(folder.path, `${lane}.${count}`));
    await folder.handle.sync();
  });
  for (const { handle } of folders) await handle.close();
  return done;
}

async function append(task: TimedTask): Promise<FilesDone> {
  const file = await open(join(task.folder, "log"), "a", 0o600);
  let waiting = 0;
  /** The group that is being written, or was last; and the one that gathers until then. */
  let running = Promise.resolve();
  let next: Promise<void> | undefined;
  const write = async () => {
    const body = Buffer.alloc(waiting * task.bytes, "x");
    waiting = 0;
    next = undefined;
    await file.write(body);
    await file.datasync();
  };
  const done = await forSeconds(task, () => {
    waiting++;
    if (next === undefined) {
      next = running.then(write);
      running = next;
    }
    return next;
  });
  await file.close();
  return done;
}

async function read(folder: string): Promise<FilesDone> {
  const since = performance.now();
  const names = await readdir(folder);
  let bytes = 0;
  let next = 0;
  const lane = async () => {
    for (let name = names[next++]; name !== undefined; name = names[next++]) {
      bytes += (await readFile(join(folder, name))).byteLength;
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, lane));
  const ms = performance.now() - since;
  return { requests: names.length, seconds: ms / 1000, bytes, p50: ms, p99: ms };
}

console.log("the floor listens on http://standard.input, bare");
for await (const line of createInterface({ input: process.stdin })) {
  const task: FilesTask = JSON.parse(line);
  const done =
    task.work === "read"
      ? read(task.folder)
      : task.work === "append"
        ? append(task)
        : objects(task);
  console.log(JSON.stringify(await done));
}
