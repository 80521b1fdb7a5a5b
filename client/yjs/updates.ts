/**
 * Many updates of a document, in a time that grows with their number. With Yjs alone, it grows with the
 * square: where the updates of one device build on those of another that come later, as each is joined with
 * all that wait already; in `mergeUpdates`, which sorts all for each; and in a transaction that inserts and
 * deletes much in a large document, as each deletion moves what was inserted.
 */
import {
  applyUpdate,
  applyUpdateV2,
  Doc,
  decodeStateVector,
  encodeStateAsUpdate,
  encodeStateVector,
  transact,
  mergeUpdates as yjsMerge,
} from "yjs";

type State = ReadonlyMap<number, number>;

/** A transaction ends after so many updates. */
const APPLIED_AT_ONCE = 1000;
/** Yjs merges so many updates in one call. */
const MERGED_AT_ONCE = 64;

/** Applies updates of a document in any order. */
export function applyUpdates(
  doc: Doc,
  updates: readonly Uint8Array[],
  origin: unknown = null,
): void {
  let next = 0;
  const applySome = () => {
    for (const update of updates.slice(next, next + APPLIED_AT_ONCE)) {
      if (isWaiting(doc)) return;
      applyUpdate(doc, update, origin);
      next++;
    }
  };
  while (next < updates.length && !isWaiting(doc)) transact(doc, applySome, origin, false);
  if (next === updates.length) return;
  const before = stateOf(doc);
  applyUpdate(doc, joinUpdates(updates.slice(next)), origin);
  applyWaiting(doc, before, origin);
}

/**
 * Merges the updates of a whole document into one, which is as small as the state of the document: for the
 * option `merge` of `SyncDocuments`. Updates that build on missing ones are kept.
 */
export function mergeUpdates(updates: readonly Uint8Array[]): Uint8Array {
  const doc = new Doc();
  applyUpdates(doc, updates);
  return encodeStateAsUpdate(doc);
}

/** Joins updates, which need not be all of a document. */
export function joinUpdates(updates: readonly Uint8Array[]): Uint8Array {
  let joined = [...updates];
  while (joined.length > MERGED_AT_ONCE) {
    const groups = Array.from({ length: Math.ceil(joined.length / MERGED_AT_ONCE) }, (_, i) =>
      joined.slice(i * MERGED_AT_ONCE, (i + 1) * MERGED_AT_ONCE),
    );
    joined = groups.map((group) => yjsMerge(group));
  }
  return yjsMerge(joined);
}

/**
 * Applies what waits once more as long as something came of a device that it waits for. Yjs does so only
 * once that device is at the place that it has noted: of an update of two devices of which one waits for the
 * beginning of the other, it notes a later place.
 */
function applyWaiting(doc: Doc, before: State, origin: unknown): void {
  const { store } = doc;
  const { pendingStructs: waiting } = store;
  const now = stateOf(doc);
  const isAhead = (client: number) => (now.get(client) ?? 0) > (before.get(client) ?? 0);
  if (waiting === null || ![...waiting.missing.keys()].some(isAhead)) return;
  store.pendingStructs = null;
  applyUpdateV2(doc, waiting.update, origin);
  applyWaiting(doc, now, origin);
}

/** How much a document has of each of its clients. */
function stateOf(doc: Doc): State {
  return decodeStateVector(encodeStateVector(doc));
}

/** Whether updates wait for others that the document does not have. */
function isWaiting({ store }: Doc): boolean {
  return store.pendingStructs !== null || store.pendingDs !== null;
}
