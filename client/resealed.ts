import type { Bytes } from "../protocol/bytes.ts";
import { NO_PREVIOUS } from "./envelope.ts";
import { StoreDamaged } from "./errors.ts";
import type { OwnLog } from "./own-log.ts";
import type { Sealer } from "./sealer.ts";
import type { OwnClient } from "./stores/store.ts";
import type { Continues } from "./types.ts";

/** Operations under a new client id. */
export interface Resealed {
  readonly payloads: readonly string[];
  /** The number of entries in each. */
  readonly counts: readonly number[];
  /** The tag of the last. */
  readonly tag: Bytes;
}

/**
 * Seals operations again under a new client id. Throws `StoreDamaged` where one cannot be read.
 *
 * @param first the index of the first of them under the old one
 * @param continues what the new client id says that it continues
 */
export async function resealed(
  log: OwnLog,
  sealer: Sealer,
  own: OwnClient,
  first: number,
  to: string,
  continues: readonly Continues[] | undefined,
): Promise<Resealed> {
  const payloads: string[] = [];
  const counts: number[] = [];
  let tag = NO_PREVIOUS;
  for await (const { operations } of log.pages(own, first)) {
    const contents = operations.map(({ index, content }) => {
      // Under another client id, a snapshot does not stand for what was before it.
      const { snapshot: _, ...moved } = content;
      return { ...moved, continues: index === first ? continues : undefined };
    });
    const sealed = await sealer.seal(to, payloads.length, tag, contents);
    payloads.push(...sealed.payloads);
    counts.push(...contents.map(({ entries }) => entries.length));
    tag = sealed.tag;
  }
  if (first + payloads.length < own.length) {
    throw new StoreDamaged(`an operation of ${own.client} has malformed content`);
  }
  return { payloads, counts, tag };
}
