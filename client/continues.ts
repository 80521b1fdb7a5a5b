import type { Continues } from "./types.ts";

/** How many characters of each tag `Continues` has. */
export const SHORT_TAG = 20;

/**
 * Whether the operation `i` of a client id that continues another one is a copy of the one with a tag.
 */
export function isAt({ tags }: Continues, i: number, tag: string): boolean {
  const at = i * SHORT_TAG;
  return at >= 0 && at < tags.length && tag.startsWith(tags.slice(at, at + SHORT_TAG));
}
