import type { Line } from "../protocol/types.ts";
import type { SnapshotHandler } from "./snapshot-handler.ts";
import type { Store } from "./stores/store.ts";
import type {
  ClientChange,
  Clock,
  Cursor,
  Fetch,
  Identity,
  Receive,
  Refusal,
  Status,
} from "./types.ts";

/** What `SyncClient.open` needs. */
export interface SyncOptions {
  /** The server's address, such as `https://sync.example`, with or without a path. */
  readonly url: string | URL;
  readonly identity: Identity;
  /** Opened for this client alone, which closes it. */
  readonly store: Store;
  /** Handles the entries, own and others'. */
  readonly receive: Receive;
  /**
   * The positions that the app stored together with its data. What the store has behind them is
   * delivered from there, and all else comes from the server. An empty list delivers everything again.
   * Without them, the store remembers what was delivered; after a crash, what came last is delivered
   * once more.
   */
  readonly cursors?: readonly Cursor[];
  /** Makes and takes snapshots. Without it, the client can read only a log of which nothing was deleted. */
  readonly snapshot?: SnapshotHandler;
  /** Called with what the server sends, before it is verified: to show what a server stores. */
  readonly onLines?: (lines: readonly Line[]) => void;
  /**
   * Called each time everything that is on this device was delivered: after the start without the server,
   * and at the beginning of each round of requests.
   */
  readonly onDelivered?: () => void;
  /** Called when the status changes. */
  readonly onStatus?: (status: Status) => void;
  /** Called when operations are refused: each time the server sends them. */
  readonly onRefusal?: (refusal: Refusal) => void;
  /** Called after operations were moved to a new client id. */
  readonly onClientChange?: (change: ClientChange) => void;
  /** Closes the client when aborted. */
  readonly signal?: AbortSignal;
  /**
   * Milliseconds from being synced to the next request, where the server does not wait for news;
   * 30,000 by default. With `Infinity`, the client does not wait for news either: it asks only when
   * `sync` is called or something is to be sent.
   */
  readonly pollInterval?: number;
  /**
   * For how many milliseconds entries are gathered before they are sent, in one operation; 0 by default. Each
   * is durable on this device at once. `sync` sends what was gathered.
   */
  readonly gather?: number;
  /**
   * Milliseconds without a byte from the server after which a request is given up, and that it may
   * take to send its body or its answer; 60,000 by default. Each 4 KiB of a body adds a second, and
   * a wait for news its own time.
   */
  readonly idleTimeout?: number;
  /** Whether requests are signed; true by default. */
  readonly sign?: boolean;
  /**
   * The code of an invite, for a server that has a list of its users: the first key that sends it is on
   * the list then. It is sent until the server has accepted the user once. A `TypeError` where it has
   * other characters than printable ASCII, or blanks.
   */
  readonly invite?: string;
  /** Replaces the runtime's `fetch`. */
  readonly fetch?: Fetch;
  /** Replaces the system's clock, in tests. */
  readonly clock?: Clock;
  /** Replaces `Math.random`, in tests: from 0 up to 1. */
  readonly random?: () => number;
}
