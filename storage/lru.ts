/** Caches of a number of entries. */
import { LRUCache } from "lru-cache";

/**
 * Keeps so many entries, and forgets the least used. Not by `max`, for which the cache makes room
 * for all of them at once: that takes a server longer than all else that it is made of.
 */
export function lruOf<Key extends {}, Value extends {}>(entries: number): LRUCache<Key, Value> {
  return new LRUCache({ maxSize: entries, sizeCalculation: () => 1 });
}
