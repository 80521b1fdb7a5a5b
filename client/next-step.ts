/** What a client shows after a round, and when the next one comes: pure, as the decisions in `state.ts`. */
import { ServerRejected, ServerUnavailable } from "./errors.ts";
import type { Outcome } from "./outcome.ts";
import { reasonOf } from "./reason.ts";
import { holdAt, type SyncState } from "./state.ts";
import type { Activity, Reason } from "./types.ts";

/** What follows from a round. */
export interface NextStep {
  readonly status: Activity;
  /** For the calls of `sync` from before the round. */
  readonly calls: "wait" | "resolve" | { readonly reject: unknown };
  /** Milliseconds until the next round; `undefined` if it follows at once. */
  readonly pause: number | undefined;
}

const MIN_BACKOFF_MS = 1000;
const MAX_BACKOFF_MS = 300_000;
/** The clients of a server that has restarted come back within this time. */
const RETURN_MS = 60_000;

/**
 * What follows from a round that ended in a state.
 *
 * @param context.isDone whether nothing is left to send now
 * @param context.pollInterval `undefined` if the next round waits for news instead
 * @param context.random from 0 up to 1: how much of the random part of a pause is waited
 */
export function nextStep(
  state: SyncState,
  outcome: Outcome,
  context: {
    readonly now: number;
    readonly pending: number;
    readonly isDone: boolean;
    readonly pollInterval: number | undefined;
    readonly random: number;
  },
): NextStep {
  const { pending, random } = context;
  if (outcome.kind === "failed") {
    const { error } = outcome;
    const wait = backoff(state.failures, random);
    if (!(error instanceof ServerUnavailable)) return refused(error, pending, wait);
    const kind = error.limited ? "pending" : "offline";
    const pause = Math.max(wait, error.retryAfter);
    return { status: { state: kind, pending, ...reasonOf(error) }, calls: "wait", pause };
  }
  if (outcome.kind === "incomplete") {
    const status: Activity = { state: "pending", pending };
    return { status, calls: "wait", pause: undefined };
  }
  const idle =
    outcome.kind === "cut"
      ? Math.max(RETURN_MS * random, outcome.retryAfter)
      : context.pollInterval;
  const refusal = holdAt(state, context.now);
  if (refusal !== undefined) return refused(refusal, pending, idle);
  // Entries that were appended since the round ended are the next round's.
  const pause = context.isDone ? idle : undefined;
  const missing = [...state.tooLarge.values()].filter(({ isLeftOut }) => !isLeftOut);
  const [tooLarge] = missing;
  if (tooLarge !== undefined) {
    const count = missing.length;
    const why = `Operations that are too large for the server stay on this device: ${count}.`;
    const reason: Reason = { code: "too-large", why };
    return refused(tooLarge.error, pending, pause, reason);
  }
  if (state.abandonedFailure !== undefined) return refused(state.abandonedFailure, pending, pause);
  const status: Activity = context.isDone
    ? { state: "synced", pending: 0 }
    : { state: "pending", pending };
  return { status, calls: "resolve", pause };
}

/** What follows where the server refuses what was sent, or the app or its store fails. */
function refused(
  error: unknown,
  pending: number,
  pause: number | undefined,
  reason = reasonOf(error),
): NextStep {
  // The one problem that no retry solves.
  const final = error instanceof ServerRejected && error.code === "user-erased";
  return {
    status: { state: "refused", pending, ...reason, final },
    calls: { reject: error },
    pause: final ? Infinity : pause,
  };
}

/** Doubles with each failure in a row; half of it is random, so that clients do not act in step. */
function backoff(failures: number, random: number): number {
  const longest = Math.min(MIN_BACKOFF_MS * 2 ** (failures - 1), MAX_BACKOFF_MS);
  return longest * (0.5 + 0.5 * random);
}
