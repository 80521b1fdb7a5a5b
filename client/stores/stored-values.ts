/** Whether what a store reads back can be what it has written. A disk returns other bytes at times. */
import { isClientId, isOperationIndex } from "../../protocol/ids.ts";
import type { Cursor } from "../types.ts";
import type { Place, StoredSnapshot } from "./store.ts";

/** The position of a client id, with counts in the order in which they can only be. */
export function isOwnClient(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { client, acknowledged, highWater, length = highWater, delivered, moved } = value;
  const counts = [acknowledged, highWater, length];
  return (
    isClientId(client) &&
    (delivered === undefined || isPlace(delivered)) &&
    (moved === undefined || isMoved(moved)) &&
    counts.every(isOperationIndex) &&
    Number(acknowledged) <= Number(highWater) &&
    Number(highWater) <= Number(length)
  );
}

/** A cursor of any client. */
export function isCursor(value: unknown): value is Cursor {
  if (!isObject(value)) return false;
  const { client, index, tag, previous, session } = value;
  const { continues = [], heads = [], entries = 0, heardAt = 0, hiddenSince = 0 } = value;
  return (
    isClientId(client) &&
    isOperationIndex(index) &&
    isTag(tag) &&
    isTag(previous) &&
    isObject(session) &&
    isOperationIndex(session.first) &&
    session.first <= index &&
    typeof session.secret === "string" &&
    Array.isArray(continues) &&
    continues.every(isContinues) &&
    Array.isArray(heads) &&
    heads.every(isHead) &&
    isOperationIndex(entries) &&
    Number.isFinite(heardAt) &&
    Number.isFinite(hiddenSince)
  );
}

/**
 * Throws a `RangeError` unless operations follow those received before.
 *
 * @param index of the last of them
 */
export function checkFollows(cursor: Cursor | undefined, index: number, count: number): void {
  const next = (cursor?.index ?? -1) + 1;
  if (index - count + 1 !== next) throw new RangeError(`the next operation is ${next}`);
}

/** Whether a value that was read is a `StoredSnapshot`. */
export function isStoredSnapshot(value: unknown): value is StoredSnapshot {
  if (!isObject(value)) return false;
  const { client, index, isLoaded } = value;
  return isClientId(client) && isOperationIndex(index) && typeof isLoaded === "boolean";
}

/** Without what a store keeps with it. */
export function storedSnapshot({ client, index, isLoaded }: StoredSnapshot): StoredSnapshot {
  return { client, index, isLoaded };
}

/** Whether a value that was read is a `Place`. */
export function isPlace(value: unknown): value is Place {
  return isObject(value) && isOperationIndex(value.index) && isOperationIndex(value.position);
}

function isMoved(value: unknown): boolean {
  return (
    isObject(value) &&
    isClientId(value.from) &&
    isOperationIndex(value.first) &&
    isOperationIndex(value.count)
  );
}

/** What a client id continues. */
function isContinues(value: unknown): boolean {
  return (
    isObject(value) &&
    isClientId(value.client) &&
    Number.isInteger(value.index) &&
    typeof value.tags === "string"
  );
}

/** What a client id has received of another one. */
export function isHead(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { client, index, tag, since = 0 } = value;
  return isClientId(client) && isOperationIndex(index) && isTag(tag) && Number.isFinite(since);
}

/** 16 bytes in base64url. */
function isTag(value: unknown): boolean {
  return typeof value === "string" && /^[\w-]{21}[AQgw]$/.test(value);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
