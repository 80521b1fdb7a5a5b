/** Real file systems for tests, as far as this account may mount them. */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
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
      call("umount", path);
      folder.remove();
    },
  };
}

function call(program: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} failed: ${error?.message ?? stderr}`);
}
