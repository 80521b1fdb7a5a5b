/**
 * A change of a log as servers tell it each other: objects that are in storage now, or a compaction. A
 * text that says neither, as that of another version of the server, means: list the log.
 */
import { createHash } from "node:crypto";
import * as v from "valibot";
import type { Listing } from "./listing.ts";
import { type Fingerprint, formatName, parseName } from "./names.ts";
import { byName, isOverlap, type Run, type Span } from "./sequence.ts";

/** Says nothing of what has changed. */
export const UNKNOWN_CHANGE = "";

const Index = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** Of a run: first and last index, size, MD5 and CRC-32. */
const WireRun = v.union([
  v.strictTuple([Index, Index, Index, v.string()]),
  v.strictTuple([Index, Index, Index, v.string(), v.string()]),
]);
const Stored = v.object({ client: v.string(), stored: v.array(WireRun) });
const Packed = v.object({
  client: v.string(),
  holders: v.array(WireRun),
  /** The span, the number and a digest of the runs that are superseded: all in the span but `holders`. */
  superseded: v.strictTuple([Index, Index, Index, v.string()]),
});
const Change = v.union([Stored, Packed]);

/** The change that stored what holds some operations of a client, by a listing that shows them. */
export function storedChange(listing: Listing | undefined, client: string, span: Span): string {
  const sequence = listing?.clients.get(client);
  if (sequence === undefined) return UNKNOWN_CHANGE;
  const pieces = [...sequence.within(span)];
  const runs = pieces.flatMap((piece) => (isOverlap(piece) ? piece.runs : [piece]));
  return JSON.stringify({ client, stored: runs.map(wireOf) });
}

/**
 * The change that a compaction of a client has made.
 *
 * @param holders what holds the operations of the superseded runs
 */
export function packedChange(
  client: string,
  superseded: readonly Run[],
  holders: readonly Run[],
): string {
  const sorted = superseded.toSorted(byName);
  const first = sorted[0]?.first ?? 0;
  const last = sorted.reduce((end, run) => Math.max(end, run.last), 0);
  const digest = digestOf(sorted);
  return JSON.stringify({
    client,
    holders: holders.map(wireOf),
    superseded: [first, last, superseded.length, digest],
  });
}

/**
 * A listing after a change; `undefined` where the log has to be listed. It may be the same listing, with
 * the change in it.
 */
export function changedListing(
  listing: Listing,
  user: Fingerprint,
  text: string,
): Listing | undefined {
  const change = parse(text);
  if (change === undefined) return undefined;
  const { client } = change;
  const isStored = "stored" in change;
  const runs = (isStored ? change.stored : change.holders).map(runOf);
  const names = runs.map((run) => ({ user, client, ...run }));
  if (names.some((name) => parseName(formatName(name)) === undefined)) return undefined;
  if (isStored) {
    let changed = listing;
    for (const [i, name] of names.entries()) {
      // What comes before is in storage, and the server that stored it could not announce it.
      if (name.first > (changed.clients.get(client)?.next ?? 0)) return undefined;
      changed = changed.appended(name, runs[i]?.size ?? 0);
    }
    return changed;
  }
  const [first, last, count, digest] = change.superseded;
  const isHolder = (run: Run) => runs.some((other) => byName(run, other) === 0);
  const superseded = (listing.clients.get(client)?.runs ?? []).filter(
    (run) => run.first >= first && run.last <= last && !isHolder(run),
  );
  // The server's own compaction, or one that it has listed.
  if (superseded.length === 0 && names.every((name) => listing.has(name))) return listing;
  // This server knows the client's objects otherwise.
  if (superseded.length !== count || digestOf(superseded) !== digest) return undefined;
  return listing.compacted(client, superseded, runs);
}

function parse(text: string): v.InferOutput<typeof Change> | undefined {
  if (text === UNKNOWN_CHANGE) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const result = v.safeParse(Change, json);
  return result.success ? result.output : undefined;
}

function wireOf({ first, last, size, md5, crc32 }: Run): (number | string)[] {
  return crc32 === undefined ? [first, last, size, md5] : [first, last, size, md5, crc32];
}

function runOf([first, last, size, md5, crc32]: v.InferOutput<typeof WireRun>): Run {
  return crc32 === undefined ? { first, last, size, md5 } : { first, last, size, md5, crc32 };
}

function digestOf(runs: readonly Run[]): string {
  const text = runs.map(({ first, last, md5 }) => `${first}-${last}.${md5}`).join();
  return createHash("md5").update(text).digest("base64url");
}
