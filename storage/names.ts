/**
 * Object names, and the only code that knows about the dots in them:
 *
 *     [PUBLIC_KEY]  .[CLIENT_ID]              .[OPERATION_INDEX] .[PAYLOAD_MD5_HASH]
 *     Zk3v…43 chars .5f0c1a52-…-36 chars      .0000000000000007  .9e107d9d372bb6826bd81d3542a419d6
 *
 * The index is padded to 16 digits, so that the byte order of names is the order of operations.
 */

/** base64url SHA-256 of a user's public key in SPKI DER; made by `sync/identity.ts`. */
export type Fingerprint = string & { readonly brand: unique symbol };

/** The parts of an object's name. `first` and `last` are the operation indexes it holds. */
export interface ObjectName {
  readonly user: Fingerprint;
  /** A UUID in lower case. */
  readonly client: string;
  readonly first: number;
  readonly last: number;
  /** MD5 of the object's body, in lower-case hex. */
  readonly md5: string;
}

const pattern =
  /^([A-Za-z0-9_-]{43})\.([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.([0-9]{16})\.([0-9a-f]{32})$/;

/** The name of the object that holds one operation. */
export function formatName(name: ObjectName): string {
  const index = String(name.first).padStart(16, "0");
  return `${name.user}.${name.client}.${index}.${name.md5}`;
}

/** The parts of a name, or `undefined` when the name is none that `formatName` makes. */
export function parseName(text: string): ObjectName | undefined {
  const [, user, client, digits, md5] = pattern.exec(text) ?? [];
  if (user === undefined || client === undefined || md5 === undefined) return undefined;
  const first = Number(digits);
  if (!Number.isSafeInteger(first) || !isFingerprint(user)) return undefined;
  return { user, client, first, last: first, md5 };
}

/** What the names of all objects of one user begin with, and those of no other user. */
export function userPrefix(user: Fingerprint): string {
  return `${user}.`;
}

/**
 * Splits off the part that all objects of one user share, for a driver that keeps users apart (in
 * folders, say). `whole` is false for a prefix that ends inside that part.
 */
export function userPart(nameOrPrefix: string): { part: string; whole: boolean } {
  const dot = nameOrPrefix.indexOf(".");
  return dot === -1
    ? { part: nameOrPrefix, whole: false }
    : { part: nameOrPrefix.slice(0, dot), whole: true };
}

/** True for 43 characters of base64url. */
export function isFingerprint(text: string): text is Fingerprint {
  return /^[A-Za-z0-9_-]{43}$/.test(text);
}
