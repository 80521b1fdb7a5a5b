/** Real file systems for tests, as far as this account may mount them. */
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./folder.ts";

/** A folder on another file system. */
export interface Mounted {
  readonly path: string;
  /** Mounts it again with other options, such as `ro`. */
  readonly remount: (options: string) => void;
  readonly remove: () => void;
}

/** A file system in memory. */
export function mountMemory(options: string): Mounted {
  return mounted((path) => call("mount", "-t", "tmpfs", "-o", options, "tmpfs", path));
}

/** An ext4 in a file. */
export function mountExt4(size: string): Mounted {
  return mounted((path) => {
    const image = join(path, "..", "image");
    call("truncate", "-s", size, image);
    call("mkfs.ext4", "-q", "-F", "-m", "0", image);
    call("mount", "-o", "loop", image, path);
  });
}

/** Why this account can mount none of a kind; `false` where it can. */
export function cannotMount(mount: () => Mounted): string | false {
  try {
    mount().remove();
    return false;
  } catch {
    return "this account cannot mount it";
  }
}

/** Appends some bytes to one file after the other until the file system takes no more. */
export function fill(folder: string, bytes: number): void {
  const refused = (error: unknown) =>
    error instanceof Error && "code" in error && error.code === "ENOSPC";
  try {
    for (let i = 0; ; i++) appendFileSync(join(folder, `filler-${i}`), "p".repeat(bytes));
  } catch (error) {
    if (!refused(error)) throw error;
  }
}

/** Works on a file system, and removes it. */
export async function onMounted(
  mount: () => Mounted,
  work: (mounted: Mounted) => Promise<void>,
): Promise<void> {
  const mounted = mount();
  try {
    await work(mounted);
  } finally {
    mounted.remove();
  }
}

function mounted(mount: (path: string) => void): Mounted {
  const folder = temporaryFolder();
  const path = join(folder.path, "mounted");
  mkdirSync(path);
  try {
    mount(path);
  } catch (error) {
    folder.remove();
    throw error;
  }
  return {
    path,
    remount: (options) => call("mount", "-o", `remount,${options}`, path),
    remove: () => {
      // A process that was just killed can hold a file in it for a moment, while the machine is busy.
      call("umount", "--lazy", path);
      folder.remove();
    },
  };
}

function call(program: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} failed: ${error?.message ?? stderr}`);
}
