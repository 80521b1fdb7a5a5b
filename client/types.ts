/** What an app tells a client, and what it is told. */
import type { Clock } from "./clock.ts";
import type { Identity } from "./identity/identity.ts";
import type { Receive } from "./inbox.ts";
import type { ClientChange } from "./outbox.ts";
import type { Store } from "./stores/store.ts";
import type { Cursor, Refusal } from "./verify.ts";

/** What the app can show. `pending` is how many operations the server has not acknowledged. */
export type Status =
  /** Everything was sent, and everything read, when the server was last asked. */
  | { readonly state: "synced"; readonly pending: 0 }
  /** There is something to send or to read, and it is under way; `why` it waits, if it has to. */
  | { readonly state: "pending"; readonly pending: number; readonly why?: string }
  /** The server does not answer. It is tried again. */
  | { readonly state: "offline"; readonly pending: number; readonly why: string }
  /** The server refuses, or the app or the store fails. It is tried again, unless `final`. */
  | {
      readonly state: "refused";
      readonly pending: number;
      readonly why: string;
      readonly final: boolean;
    };

export interface SyncOptions {
  /** Where the server is, such as `https://sync.example`. */
  readonly url: string | URL;
  readonly identity: Identity;
  /** Opened for this client; closed with it. */
  readonly store: Store;
  /** What the app does with the operations of other clients. */
  readonly receive: Receive;
  /**
   * How far the app has taken operations, where it stores that together with its data. What the
   * store says is then replaced. An empty list delivers everything again.
   */
  readonly cursors?: readonly Cursor[];
  readonly onStatus?: (status: Status) => void;
  /** Told of operations that were not passed on, because they are not what they should be. */
  readonly onRefusal?: (refusal: Refusal) => void;
  /** Told when operations were moved to a new client id. */
  readonly onClientChange?: (change: ClientChange) => void;
  /** Ends the client, as `close` does. */
  readonly signal?: AbortSignal;
  /** How long to wait, once all is synced, before the server is asked again; 30,000 ms. */
  readonly pollInterval?: number;
  /** How long to wait for an answer, and for more of it; 60,000 ms, and 1,000 for each 4 KiB sent. */
  readonly patience?: number;
  /** Whether requests are signed; they are. */
  readonly sign?: boolean;
  readonly fetch?: (request: Request) => Promise<Response>;
  readonly clock?: Clock;
  /** From 0 up to 1. */
  readonly random?: () => number;
}
