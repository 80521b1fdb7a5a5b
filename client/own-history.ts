import type { OwnEntries } from "./operation.ts";
import type { OwnClient, Place } from "./stores/store.ts";
import type { Continues, Cursor } from "./types.ts";

/** An own client id, and the first place of which the entry was not delivered to the app. */
export type OwnProgress = OwnClient & { delivered: Place | undefined };

/** What this installation has created, for those who deliver it, and compare it with what others have. */
export interface OwnHistory {
  /** The client ids of this installation: those given up, then the one in use. */
  readonly own: readonly OwnProgress[];
  /** The number of operations that were created here under a client id. */
  lengthOf(client: string): number;
  /** The position of an own operation; `undefined` for the index −1, and once it was moved. */
  cursorAt(client: string, index: number): Promise<Cursor | undefined>;
  /** The tag of an own operation, as in a cursor; `undefined` where this device has not created it. */
  tagAt(client: string, index: number): Promise<string | undefined>;
  /** The same; `undefined` as well where the server has not acknowledged it. */
  acknowledgedTag(client: string, index: number): Promise<string | undefined>;
  /** The client ids that an own one with operations continues. */
  continuedBy(client: string): Promise<readonly Continues[]>;
  /** Reads the entries of an own client id from a place on, in order and in pieces. */
  entries(client: string, from: Place): AsyncGenerator<OwnEntries, void, void>;
}
