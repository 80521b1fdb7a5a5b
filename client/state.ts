/**
 * What a client knows between two rounds of requests, and every decision that follows from it. All
 * of it is pure: the time is an argument.
 */
import type { ServerError } from "./errors.ts";
import type { Outcome } from "./outcome.ts";
import type { OwnClient } from "./stores/store.ts";

/** The most that one request may carry. */
export interface BatchLimits {
  readonly operations: number;
  /** Of all payloads together. */
  readonly characters: number;
}

/** What a client knows between two rounds. All times are milliseconds of the client's clock. */
export interface SyncState {
  readonly limits: BatchLimits;
  /** Set while appends wait because the server refused one. Reading goes on. */
  readonly hold: { readonly error: ServerError; readonly until: number } | undefined;
  /** Own client ids whose next operation is too large for the server, and when to try again. */
  readonly tooLarge: ReadonlyMap<string, TooLarge>;
  /** When the server last acknowledged a batch of each own client id. */
  readonly confirmedAt: ReadonlyMap<string, number>;
  /** Own client ids that were sent again from their first operation, to find where a copy diverged. */
  readonly rewound: ReadonlySet<string>;
  /** When stores that other processes abandoned were last looked for. */
  readonly abandonedCheckedAt: number;
  /** Why not all of those could be opened then; `undefined` if they could. */
  readonly abandonedFailure?: unknown;
  /** Failed rounds in a row, counted from the last one that made progress. */
  readonly failures: number;
}

/** An operation that is too large for the server. */
export interface TooLarge {
  readonly error: ServerError;
  readonly until: number;
  /** Whether nothing is missing without it, as without a snapshot. */
  readonly isLeftOut?: boolean | undefined;
}

/** The state of a client that has just been opened. */
export const initialState: SyncState = {
  // Well below the limits of a server.
  limits: { operations: 1000, characters: 4 * 1024 * 1024 },
  hold: undefined,
  tooLarge: new Map(),
  confirmedAt: new Map(),
  rewound: new Set(),
  abandonedCheckedAt: -Infinity,
  failures: 0,
};

/** What happened, for `transition`. */
export type SyncEvent =
  /** The server has stored a batch of an own client id. */
  | { readonly type: "batch-stored"; readonly client: string; readonly now: number }
  /** A batch was too large for the server, or for the time it allows. */
  | { readonly type: "batch-too-large"; readonly payloads: readonly string[] }
  /** The next operation of an own client id is too large by itself. */
  | {
      readonly type: "operation-too-large";
      readonly client: string;
      readonly error: ServerError;
      readonly isLeftOut?: boolean;
      readonly now: number;
    }
  /** The app has dropped the operation of an own client id that is too large. */
  | { readonly type: "operation-dropped"; readonly client: string }
  /** The server refused a batch that cannot be sent in another form. */
  | { readonly type: "batch-refused"; readonly error: ServerError; readonly now: number }
  /** All operations of an own client id are sent again. */
  | { readonly type: "client-rewound"; readonly client: string }
  /** The app asked for a sync: a person may have made room on the server. */
  | { readonly type: "sync-requested" }
  | { readonly type: "abandoned-checked"; readonly now: number; readonly failure?: unknown }
  | { readonly type: "round-ended"; readonly outcome: Outcome };

/** How long appends wait after the server refused one. */
const HOLD_MS = 300_000;
/** How long an operation is not sent again that was too large. */
const TOO_LARGE_MS = 3600_000;

/** The state after an event. */
export function transition(state: SyncState, event: SyncEvent): SyncState {
  switch (event.type) {
    case "batch-stored": {
      const confirmedAt = new Map(state.confirmedAt).set(event.client, event.now);
      const tooLarge = new Map(state.tooLarge);
      tooLarge.delete(event.client);
      return { ...state, confirmedAt, tooLarge };
    }
    case "batch-too-large": {
      const characters = event.payloads.reduce((sum, payload) => sum + payload.length, 0);
      const limits = {
        operations: Math.ceil(event.payloads.length / 2),
        characters: Math.ceil(characters / 2),
      };
      return { ...state, limits };
    }
    case "operation-too-large": {
      const { client, error, isLeftOut } = event;
      const until = event.now + TOO_LARGE_MS;
      const entry = { error, until, ...(isLeftOut && { isLeftOut }) };
      const tooLarge = new Map(state.tooLarge).set(client, entry);
      // What was halved on the way to this operation says nothing about the others.
      return { ...state, tooLarge, limits: initialState.limits };
    }
    case "operation-dropped": {
      const tooLarge = new Map(state.tooLarge);
      tooLarge.delete(event.client);
      return { ...state, tooLarge };
    }
    case "batch-refused":
      return { ...state, hold: { error: event.error, until: event.now + HOLD_MS } };
    case "client-rewound":
      return { ...state, rewound: new Set(state.rewound).add(event.client) };
    case "sync-requested":
      return { ...state, hold: undefined };
    case "abandoned-checked":
      return { ...state, abandonedCheckedAt: event.now, abandonedFailure: event.failure };
    case "round-ended": {
      const { outcome } = event;
      if (outcome.kind !== "failed") return { ...state, failures: 0 };
      return { ...state, failures: outcome.progressed ? 1 : state.failures + 1 };
    }
  }
}

/** What the next request carries. */
export type Plan =
  /** The oldest operations of an own client id that have no acknowledgement. */
  | {
      readonly send: "unacknowledged";
      readonly outbox: number;
      readonly client: string;
      readonly limits: BatchLimits;
    }
  /** The last operation of an own client id once more: does the server still have it? */
  | { readonly send: "last"; readonly outbox: number; readonly client: string }
  /** Nothing: the request only reads. */
  | { readonly send: "nothing" };

/** How long an acknowledgement is relied on. A server may be restored from an older backup. */
const CONFIRM_INTERVAL_MS = 3600_000;

/**
 * Plans the next request.
 *
 * @param outboxes the own client ids of this installation, then those of abandoned stores
 */
export function planRequest(
  state: SyncState,
  outboxes: readonly (readonly OwnClient[])[],
  now: number,
): Plan {
  if (holdAt(state, now) !== undefined) return { send: "nothing" };
  for (const [outbox, own] of outboxes.entries()) {
    const next = own.find(({ client, length, acknowledged }) => {
      return acknowledged < length && now >= (state.tooLarge.get(client)?.until ?? now);
    });
    if (next !== undefined) {
      return { send: "unacknowledged", outbox, client: next.client, limits: state.limits };
    }
  }
  const unconfirmed = outboxes[0]?.find(({ client, length, acknowledged }) => {
    const at = state.confirmedAt.get(client) ?? -Infinity;
    return length > 0 && acknowledged === length && now - at >= CONFIRM_INTERVAL_MS;
  });
  if (unconfirmed === undefined) return { send: "nothing" };
  return { send: "last", outbox: 0, client: unconfirmed.client };
}

/** Why appends wait, if they do. */
export function holdAt({ hold }: SyncState, now: number): ServerError | undefined {
  return hold !== undefined && now < hold.until ? hold.error : undefined;
}

/** How often stores are looked for that other processes abandoned. */
const ABANDONED_INTERVAL_MS = 60_000;

/** Whether it is time to look for stores that other processes abandoned. */
export function mustCheckAbandoned({ abandonedCheckedAt }: SyncState, now: number): boolean {
  return now - abandonedCheckedAt >= ABANDONED_INTERVAL_MS;
}

/**
 * Where the operations of one client id part from those that the server has. `here`: it has another
 * one that the user made for this place, so the client id is in use twice. `earlier`: it shows another
 * one before that, so what it has here cannot be opened. `replaced`: it shows what the user has not
 * made, or not for this place. `unproven`: it shows nothing else than the client has.
 */
export type Divergence = "here" | "earlier" | "replaced" | "unproven";

/**
 * What an `operation-conflict` calls for.
 *
 * - `hold`: the server's word alone is not enough. A server that lies could have operations that
 *   other devices have received created once more.
 * - `rewind`: send everything again, to find where the logs part; at most once for a client id, since
 *   nothing proves `earlier`.
 * - `change-client`: move the operations from the conflict on to a new client id.
 * - `continue`: the same, and the new id says which operations it stands for. Anyone with the
 *   public key can have stored anything there before the user's first signed request.
 *
 * @param mayContinue whether no other device can rely on the operations under the old client id
 */
export function conflictRemedy(
  state: SyncState,
  client: string,
  divergence: Divergence,
  mayContinue: boolean,
): "hold" | "rewind" | "change-client" | "continue" {
  if (divergence === "here") return "change-client";
  if (divergence === "earlier" && !state.rewound.has(client)) return "rewind";
  return mayContinue && divergence !== "unproven" ? "continue" : "hold";
}
