/** What shows that a file or a folder has changed. */
import type { BigIntStats } from "node:fs";

/** Something this young may change again without showing it in its times. In milliseconds. */
const SETTLED_AFTER = 2000;

/** The stamp of what is about to be read, if it will show the next change; `undefined` otherwise. */
export function settledStamp(stats: BigIntStats): string | undefined {
  const settled = Date.now() - Number(stats.mtimeMs) > SETTLED_AFTER;
  return settled ? stampOf(stats) : undefined;
}

/** Another inode, another length or another time is a change. */
export function stampOf({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}
