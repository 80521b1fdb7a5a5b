/** The data that passes between an app and its client. */
import type { Bytes } from "../protocol/bytes.ts";

/** A user: one RSA key, able to encrypt, decrypt and sign. IndexedDB can store it as it is. */
export interface Identity {
  /** SHA-256 of the public key in base64url, 43 characters: the user's name at the server. */
  readonly fingerprint: string;
  /** SPKI DER in base64, as the server receives it. A secret of the user's devices. */
  readonly publicKey: string;
  /** The length of the RSA modulus. */
  readonly bits: number;
  /** The private ones cannot be exported. */
  readonly keys: IdentityKeys;
  /** What the text of the key says that there is; see `withHeads`. The server has to show all of it. */
  readonly expected?: Expected;
}

/** What the device that gave the text of a key had. */
export interface Expected {
  readonly heads: readonly Head[];
  /** When the text came to this device, in milliseconds of Unix time. */
  readonly since: number;
}

/** The same RSA key once for each use, because Web Crypto binds a key to one algorithm. */
export interface IdentityKeys {
  /** RSA-OAEP with SHA-256, public: wraps the secrets of sessions. */
  readonly wrap: CryptoKey;
  /** RSA-OAEP with SHA-256, private: unwraps the secrets of sessions. */
  readonly unwrap: CryptoKey;
  /** RSA-PSS with SHA-256, private: signs sessions. */
  readonly sign: CryptoKey;
  /** RSA-PSS with SHA-256, public: verifies sessions. */
  readonly verify: CryptoKey;
  /** RSA-PSS with SHA-512, private: signs requests. */
  readonly signRequests: CryptoKey;
}

/**
 * What an app appended: decrypted, and proven to be the user's own and in its place. The first three
 * members name it.
 */
export interface Entry {
  /** The client id that created it: a UUID in lower case. */
  readonly client: string;
  /** The index of its operation under that client id, from 0 on. */
  readonly index: number;
  /** Its place in that operation, which can carry many, from 0 on. */
  readonly position: number;
  /** What the app appended. */
  readonly data: Bytes;
}

/**
 * How far the entries of one client id were delivered. Small, plain data: an app may store it in the
 * same transaction as what it makes of the entries.
 */
export interface Cursor {
  readonly client: string;
  /** The index of the last operation delivered. */
  readonly index: number;
  /** The last 16 bytes of its payload, in base64url: the next operation is bound to them. */
  readonly tag: string;
  /** The same of the operation before it; of zeros if there is none. */
  readonly previous: string;
  /** The session that the operation is of. */
  readonly session: SessionStart;
  /** Which client ids this one continues, if it does. */
  readonly continues?: readonly Continues[];
  /**
   * What its device has received of others, and this one had not when it learned that; and the newest that
   * it has received of this one.
   */
  readonly heads?: readonly MissingHead[];
  /** Since when the server does not show its operation again, if it does not: milliseconds of Unix time. */
  readonly hiddenSince?: number;
  /**
   * Of entries that were appended here: how many of the operation after that were delivered as well,
   * which waited to be sent.
   */
  readonly entries?: number;
  /** When the operation came, in milliseconds of Unix time. */
  readonly heardAt?: number;
}

/** Another client id of the user: a device, or a tab or process of one. */
export interface OtherDevice {
  readonly client: string;
  /** The index of its newest operation here. */
  readonly index: number;
  /**
   * When that came to this device, in milliseconds of Unix time: not when it was made. A device that
   * has written something makes an operation a day at least, while it runs. `undefined` if that is not
   * known.
   */
  readonly heardAt: number | undefined;
  /** The newest index under the client id of this device that it says to have; `undefined` for none. */
  readonly seen: number | undefined;
}

/** Where consecutive operations of a client id under one key begin. */
export interface SessionStart {
  /** The index of the first of them. */
  readonly first: number;
  /** The secret of the session, encrypted under the user's public key, in base64url. */
  readonly secret: string;
}

/**
 * A client id continues this one from an index on: its operation `i` is a copy of the operation
 * `index + i` of this one, as far as there are tags. Either is delivered, and not both.
 */
export interface Continues {
  readonly client: string;
  readonly index: number;
  /** The first 20 characters of the tag of each, joined. */
  readonly tags: string;
}

/** The last operation of a client id that a device has received. */
export interface Head {
  readonly client: string;
  readonly index: number;
  /** The last 16 bytes of its payload, in base64url. */
  readonly tag: string;
}

/** Such an operation that is missing on this device. */
export interface MissingHead extends Head {
  /** Milliseconds of Unix time: when this device learned of it. */
  readonly since?: number;
}

/**
 * Handles entries: those that were appended here, as soon as they are durable, and those of other
 * installations, decrypted and proven to be the user's own. One call has entries of one client id, in
 * order. None is missing between them but those reported as `unreadable`. They count as delivered
 * once the function returns, or its promise is fulfilled. If it throws or rejects, they are delivered
 * again. It is not called again before that, so it must not wait for `sync`.
 *
 * @param cursor the position after the last of them
 * @param isOwn whether they were appended here
 */
export type Receive = (
  entries: readonly Entry[],
  cursor: Cursor,
  isOwn: boolean,
) => void | Promise<void>;

/**
 * Why operations were refused:
 *
 * - `forged`: not the user's, or not for this place: garbage, an altered or exchanged operation, or one
 *   of another user or client id.
 * - `chain broken`: operations before it are missing.
 * - `out of place`: the server sent what was received before.
 * - `fork`: made by the user, and another one was received under the same index: the client id is in
 *   use twice. With `by`, another device has received another one: the server shows devices different
 *   histories. Nothing is held back or missing then, and nothing can undo it: it is in `refusals` until
 *   the client is closed, and again once a device has named it again, as each does at its start.
 * - `withheld`: the server does not show an operation that it has stored: another device of the user has
 *   received it (`by`), or this one has, earlier. It is no longer in `refusals` once it comes.
 * - `other version`: it says that it is of a version of the envelope that this software does not read.
 *   Nobody vouches for that.
 * - `unreadable`: made by the user, with malformed content: a fault of the device that made it. Only
 *   this operation is missing, for good; those after it are delivered. If it is the secret of a session
 *   that cannot be read, all operations of the client id are missing from there on.
 */
export type RefusalKind =
  | "forged"
  | "out of place"
  | "chain broken"
  | "fork"
  | "withheld"
  | "other version"
  | "unreadable";

/** Operations that were not delivered: those of one client id from `index` on (see `unreadable`). */
export interface Refusal {
  readonly kind: RefusalKind;
  readonly client: string;
  /** The index of the first operation concerned. */
  readonly index: number;
  /** The client id of the device that has received it; `key` for the one that gave the key as text. */
  readonly by?: string;
}

/** An operation: the entries that are sent and stored together. */
export type OperationName = Pick<Entry, "client" | "index">;

/** The place of an entry that `append` created; see `Entry`. */
export type Created = Pick<Entry, "client" | "index" | "position">;

/**
 * This installation goes on under a new client id, and moved to it those of its operations that no
 * other device has under the old one: the old id was in use twice, or the server holds there what
 * the user has not made.
 */
export interface ClientChange {
  /** The old client id. */
  readonly from: string;
  /** The new client id. */
  readonly to: string;
  /** The old index of the first operation moved. Its new index is 0, and so on. */
  readonly first: number;
  /** The number of operations moved. */
  readonly count: number;
  /** The position after those that were delivered, if there are any: to be stored with the new names. */
  readonly cursor?: Cursor;
}

/** The state of a client. */
export type Status = Activity & {
  /**
   * The number of client ids of which operations are missing, because they were refused or withheld:
   * `refusals` says which, and has what is no more than a fork with `by` as well. A client that is `synced` has everything else.
   */
  readonly refused: number;
  /**
   * Whether the server tells at once what other devices do: it holds back its answer until there is
   * news. If not, the client asks at intervals.
   */
  readonly live: boolean;
  /** While many operations are being read: how many of them have come, */
  readonly received?: number;
  /** and how many there are. */
  readonly of?: number;
};

/**
 * Why a client is not synced, for a program; `why` is the sentence for a person:
 *
 * - `offline`: the server does not answer, or something on the way to it does.
 * - `busy`: the server cannot answer now.
 * - `rate`: the server limits the rate, of requests or of new users.
 * - `quota`: the user has no room left on the server.
 * - `too-large`: what is larger than the server accepts stays on this device.
 * - `not-allowed`: the server does not accept the user.
 * - `clock`: the clocks of this device and the server are too far apart.
 * - `signature`: the server does not accept the signature, or its address is another one for it.
 * - `erased`: the user was erased.
 * - `place-taken`: the server has something else in the place of an operation, which waits.
 * - `server`: the server refuses for another reason.
 * - `device`: the app's `receive` or the store fails.
 */
export type StatusCode =
  | "offline"
  | "busy"
  | "rate"
  | "quota"
  | "too-large"
  | "not-allowed"
  | "clock"
  | "signature"
  | "erased"
  | "place-taken"
  | "server"
  | "device";

/** Why a client is not synced. */
export interface Reason {
  readonly code: StatusCode;
  /** A sentence for a person. */
  readonly why: string;
}

/** What a client does. `pending` counts the entries that the server has not acknowledged. */
export type Activity =
  /** At the last contact with the server, everything was sent and everything read. */
  | ({ readonly state: "synced"; readonly pending: 0 } & {
      readonly [Name in keyof Reason]?: undefined;
    })
  /** Operations are being sent or read. The reason is there while the server limits the rate. */
  | ({ readonly state: "pending"; readonly pending: number } & {
      readonly [Name in keyof Reason]?: Reason[Name] | undefined;
    })
  /** The server does not answer. The client retries. */
  | ({ readonly state: "offline"; readonly pending: number } & Reason)
  /** The server refuses, or the app's `receive` or the store fails. Retried unless `final`. */
  | ({ readonly state: "refused"; readonly pending: number; readonly final: boolean } & Reason);

/** Time, so that a test can replace it. */
export interface Clock {
  /** Milliseconds of Unix time. */
  now(): number;
  /**
   * Resolves after some milliseconds, or once the signal is aborted. Never rejects. The clock of the
   * system ends a sleep as well when the device has been asleep: connections are dead then.
   */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/** The part of the runtime's `fetch` that a client uses. The signal is that of the request as well. */
export type Fetch = (request: Request, init: { readonly signal: AbortSignal }) => Promise<Response>;
