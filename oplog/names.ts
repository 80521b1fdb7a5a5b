/**
 * Object names. This file is the only code that knows their format:
 *
 *     [PUBLIC_KEY]  .[CLIENT_ID]              .[OPERATION_INDEX] .[PAYLOAD_MD5_HASH]
 *     Zk3v…43 chars .5f0c1a52-…-36 chars      .0000000000000007  .9e107d9d372bb6826bd81d3542a419d6
 *
 * A segment, which holds several operations, has the first and the last index, and a CRC-32 at its
 * end. Segments that were stored before there was one go without:
 *
 *     [PUBLIC_KEY]  .[CLIENT_ID] .[FIRST]         -[LAST]           .[MD5]         .[CRC32]
 *     Zk3v…43 chars .5f0c1a52-…  .0000000000000007-0000000000000011 .5eb63bbb…dcc3 .0d4a1185
 *
 * Indexes are padded to 16 digits, so that the byte order of names is the order of operations. Of
 * the objects that begin at one index, segments come before single operations, in order of length.
 */
import { CLIENT_ID } from "../protocol/ids.ts";
import type { Checksums } from "./checksums.ts";

/** A user: base64url of the SHA-256 of the public key in SPKI DER, made by `sync/public-key.ts`. */
export type Fingerprint = string & { readonly brand: unique symbol };

/** The parts of an object's name. `first` and `last` are the operation indexes it holds. */
export interface ObjectName extends Checksums {
  readonly user: Fingerprint;
  /** A UUID in lower case. */
  readonly client: string;
  readonly first: number;
  readonly last: number;
}

const pattern = new RegExp(
  `^([A-Za-z0-9_-]{43})\\.(${CLIENT_ID})\\.([0-9]{16})(?:-([0-9]{16}))?\\.([0-9a-f]{32})(?:\\.([0-9a-f]{8}))?$`,
);

/**
 * A fact about a user, stored as an empty object with this name:
 *
 *     [PUBLIC_KEY].signed                  a signed request was accepted; unsigned ones are refused
 *     [PUBLIC_KEY].erased.[UNIX_SECONDS]   the tombstone: the user was erased at this time
 */
export type Marker =
  | { readonly kind: "signed"; readonly user: Fingerprint }
  | { readonly kind: "erased"; readonly user: Fingerprint; readonly at: number };

/**
 * A snapshot, whose body says what it covers (`oplog/snapshots.ts`). After its time come the client and the
 * index of the operation that has its payload:
 *
 *     [PUBLIC_KEY].snapshot.[UNIX_SECONDS].[CLIENT_ID].[OPERATION_INDEX].[MD5]
 *
 * Names sort by time, so that the newest snapshot is the last one.
 */
export interface SnapshotName {
  readonly user: Fingerprint;
  /** When it was stored, in seconds of Unix time. */
  readonly at: number;
  readonly client: string;
  readonly index: number;
  /** MD5 of the body. */
  readonly md5: string;
}

/**
 * The floor of a client, stored as an empty object: snapshots stand for its operations up to this index, which
 * are deleted from storage. Names sort behind the operations of the client:
 *
 *     [PUBLIC_KEY].[CLIENT_ID].trimmed.[OPERATION_INDEX].[UNIX_SECONDS]
 */
export interface FloorName {
  readonly user: Fingerprint;
  readonly client: string;
  readonly index: number;
  /** When it was stored, in seconds of Unix time. */
  readonly at: number;
}

const snapshotPattern = new RegExp(
  `^([A-Za-z0-9_-]{43})\\.snapshot\\.([0-9]{16})\\.(${CLIENT_ID})\\.([0-9]{16})\\.([0-9a-f]{32})$`,
);

const floorPattern = new RegExp(
  `^([A-Za-z0-9_-]{43})\\.(${CLIENT_ID})\\.trimmed\\.([0-9]{16})\\.([0-9]{16})$`,
);

const markerPattern = /^([A-Za-z0-9_-]{43})\.(?:signed|erased\.([0-9]{16}))$/;

/** The name of an object: a segment where it holds more than one operation. */
export function formatName({ user, client, first, last, md5, crc32 }: ObjectName): string {
  const indexes = first === last ? padded(first) : `${padded(first)}-${padded(last)}`;
  const name = `${user}.${client}.${indexes}.${md5}`;
  return crc32 === undefined ? name : `${name}.${crc32}`;
}

/** The parts of a name; `undefined` for a name that `formatName` does not make. */
export function parseName(text: string): ObjectName | undefined {
  const [, user, client, firstDigits, lastDigits, md5, crc32] = pattern.exec(text) ?? [];
  if (user === undefined || client === undefined || md5 === undefined) return undefined;
  const first = Number(firstDigits);
  const last = lastDigits === undefined ? first : Number(lastDigits);
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last)) return undefined;
  // A segment of one operation would be another name for the same thing.
  if (lastDigits !== undefined && last <= first) return undefined;
  if (!isFingerprint(user)) return undefined;
  if (crc32 === undefined) return { user, client, first, last, md5 };
  return lastDigits === undefined ? undefined : { user, client, first, last, md5, crc32 };
}

/** The name of a marker's object. */
export function formatMarker(marker: Marker): string {
  if (marker.kind === "signed") return `${marker.user}.signed`;
  return `${marker.user}.erased.${padded(marker.at)}`;
}

/** The marker of a name; `undefined` for a name that `formatMarker` does not make. */
export function parseMarker(text: string): Marker | undefined {
  const [, user, seconds] = markerPattern.exec(text) ?? [];
  if (user === undefined || !isFingerprint(user)) return undefined;
  if (seconds === undefined) return { kind: "signed", user };
  const at = Number(seconds);
  return Number.isSafeInteger(at) ? { kind: "erased", user, at } : undefined;
}

/** The name of a snapshot's object. */
export function formatSnapshot({ user, at, client, index, md5 }: SnapshotName): string {
  return `${user}.snapshot.${padded(at)}.${client}.${padded(index)}.${md5}`;
}

/** The parts of a snapshot's name; `undefined` for a name that `formatSnapshot` does not make. */
export function parseSnapshot(text: string): SnapshotName | undefined {
  const [, user, seconds, client, digits, md5] = snapshotPattern.exec(text) ?? [];
  const [at, index] = [Number(seconds), Number(digits)];
  if (user === undefined || client === undefined || md5 === undefined) return undefined;
  if (!isFingerprint(user) || !Number.isSafeInteger(at) || !Number.isSafeInteger(index)) {
    return undefined;
  }
  return { user, at, client, index, md5 };
}

/** The name of a floor's object. */
export function formatFloor({ user, client, index, at }: FloorName): string {
  return `${user}.${client}.trimmed.${padded(index)}.${padded(at)}`;
}

/** The parts of a floor's name; `undefined` for a name that `formatFloor` does not make. */
export function parseFloor(text: string): FloorName | undefined {
  const [, user, client, digits, seconds] = floorPattern.exec(text) ?? [];
  const [index, at] = [Number(digits), Number(seconds)];
  if (user === undefined || client === undefined || !isFingerprint(user)) return undefined;
  return Number.isSafeInteger(index) && Number.isSafeInteger(at)
    ? { user, client, index, at }
    : undefined;
}

/** True for the name of a tombstone. */
export function isTombstone(text: string): boolean {
  return parseMarker(text)?.kind === "erased";
}

/** The prefix of the names of all objects of one user, and of no other user. */
export function userPrefix(user: Fingerprint): string {
  return `${user}.`;
}

/** The prefix of the names of a user's tombstones. */
export function tombstonePrefix(user: Fingerprint): string {
  return `${user}.erased.`;
}

/** The prefix of the names of all objects of one client of a user, and of no others. */
export function clientPrefix(user: Fingerprint, client: string): string {
  return `${user}.${client}.`;
}

const ZEROS = "0".repeat(16);

/** The index with leading zeros. `padStart` takes ten times as long on Bun. */
function padded(index: number): string {
  const digits = String(index);
  return ZEROS.slice(digits.length) + digits;
}

/** True for 43 characters of base64url. */
export function isFingerprint(text: string): text is Fingerprint {
  return /^[A-Za-z0-9_-]{43}$/.test(text);
}
