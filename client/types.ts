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
}

/** The same RSA key once for each use, because Web Crypto binds a key to one algorithm. */
export interface IdentityKeys {
  /** RSA-OAEP with SHA-256, public: wraps content keys. */
  readonly wrap: CryptoKey;
  /** RSA-OAEP with SHA-256, private: unwraps content keys. */
  readonly unwrap: CryptoKey;
  /** RSA-PSS with SHA-256, private: signs operations. */
  readonly sign: CryptoKey;
  /** RSA-PSS with SHA-256, public: verifies operations. */
  readonly verify: CryptoKey;
  /** RSA-PSS with SHA-512, private: signs requests. */
  readonly signRequests: CryptoKey;
}

/** A decrypted operation that is proven to be the user's own and in its place. */
export interface Operation {
  /** The client id that created it: a UUID in lower case. */
  readonly client: string;
  /** Its operation index under that client id, from 0 on. */
  readonly index: number;
  /** What the app appended. */
  readonly data: Bytes;
}

/**
 * How far the operations of one client id were delivered. Small, plain data: an app may store it in
 * the same transaction as what it makes of the operations.
 */
export interface Cursor {
  readonly client: string;
  /** The index of the last operation delivered. */
  readonly index: number;
  /** SHA-256 of the bytes of its payload, in base64url: the next operation has to name it. */
  readonly hash: string;
  /** Which client ids this one continues, if it does. */
  readonly continues?: readonly Continues[];
}

/**
 * A client id continues this one from an index on: its operation `i` is a copy of the operation
 * `index + i` of this one, as far as there are hashes. Either is delivered, and not both.
 */
export interface Continues {
  readonly client: string;
  readonly index: number;
  /** The first 24 characters of the hash of each, joined. */
  readonly hashes: string;
}

/**
 * Handles operations of other installations: all of one client id, in order, decrypted and proven
 * to be the user's own. None is missing between them but those reported as `unreadable`. They count
 * as delivered once the function returns, or its promise is fulfilled. If it throws or rejects, they
 * are delivered again.
 *
 * @param cursor the position after the last of the operations
 */
export type Receive = (operations: readonly Operation[], cursor: Cursor) => void | Promise<void>;

/**
 * Why operations were refused:
 *
 * - `forged`: not signed by the user's key; garbage, or an operation of another user.
 * - `out of place`: made by the user for another client id or index, or received before.
 * - `chain broken`: made by the user for this place, but not to follow the operation before it:
 *   operations are missing, or were exchanged.
 * - `fork`: made by the user, and another one was received under the same index: the client id is
 *   in use twice.
 * - `other version`: signed by the user, in a version of the envelope that this software does not
 *   read.
 * - `unreadable`: signed by the user, and does not decrypt: a fault of the device that made it. Only
 *   this operation is missing, for good; those after it are delivered.
 */
export type RefusalKind =
  | "forged"
  | "out of place"
  | "chain broken"
  | "fork"
  | "other version"
  | "unreadable";

/** Operations that were not delivered: those of one client id from `index` on (see `unreadable`). */
export interface Refusal {
  readonly kind: RefusalKind;
  readonly client: string;
  /** The index that the server gives the first refused operation. */
  readonly index: number;
}

/** The place of an operation that `append` created. */
export interface Created {
  readonly client: string;
  readonly index: number;
}

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
}

/** The state of a client. */
export type Status = Activity & {
  /**
   * The number of client ids of which operations are missing, because they were refused: `refusals`
   * says which. A client that is `synced` has everything else.
   */
  readonly refused: number;
  /**
   * Whether the server tells at once what other devices do: it holds back its answer until there is
   * news. If not, the client asks at intervals.
   */
  readonly live: boolean;
};

/** What a client does. `pending` counts the operations that the server has not acknowledged. */
export type Activity =
  /** At the last contact with the server, everything was sent and everything read. */
  | { readonly state: "synced"; readonly pending: 0 }
  /** Operations are being sent or read. `why` is there while the server limits the rate. */
  | { readonly state: "pending"; readonly pending: number; readonly why?: string }
  /** The server does not answer. The client retries. */
  | { readonly state: "offline"; readonly pending: number; readonly why: string }
  /** The server refuses, or the app's `receive` or the store fails. Retried unless `final`. */
  | {
      readonly state: "refused";
      readonly pending: number;
      /** A sentence for a person. */
      readonly why: string;
      readonly final: boolean;
    };

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
