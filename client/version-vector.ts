import { MAX_INDEX } from "../protocol/ids.ts";
import type { OwnClient } from "./stores/store.ts";
import type { Cursor } from "./types.ts";

/**
 * For each client id, the last index that the server need not send.
 *
 * @param positions after what is stored of others
 * @param due those of which the server has to show the operation once more
 * @param ignored client ids of which it is asked for nothing
 * @param own the client ids of this installation
 */
export function versionVector(
  positions: readonly Cursor[],
  due: readonly Cursor[],
  ignored: readonly string[],
  own: readonly OwnClient[],
): Record<string, number> {
  const vector: Record<string, number> = {};
  for (const { client, index } of positions) vector[client] = index;
  for (const { client, index } of due) {
    if (index === 0) delete vector[client];
    else vector[client] = index - 1;
  }
  // No client passes this index: the server sends nothing of one that is known this far.
  for (const client of ignored) vector[client] = MAX_INDEX;
  for (const { client, length } of own) {
    if (length > 0) vector[client] = Math.max(length - 1, vector[client] ?? 0);
  }
  return vector;
}
