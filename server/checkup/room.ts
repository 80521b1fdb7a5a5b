import type { Room } from "../../storage/driver.ts";
import { bytesText } from "../format.ts";

/** The share of a file system, and its inodes, below which somebody should know: as in deploy/alerts.yaml. */
const LEAST_SHARE = 0.1;
const LEAST_FILES = 10_000;

/** What a file system lacks, in a sentence for each; none where it has enough. */
export function lacksOf({ free, size, freeFiles }: Room): string[] {
  return [
    ...(free < size * LEAST_SHARE
      ? [`The disk has ${bytesText(free)} of ${bytesText(size)} left.`]
      : []),
    ...(freeFiles !== undefined && freeFiles < LEAST_FILES
      ? ["The file system has fewer than 10 000 inodes left."]
      : []),
  ];
}
