/** The decisions about requests that wait for news: pure, as those in `state.ts`. */
import { ServerUnavailable } from "./errors.ts";
import type { Outcome } from "./outcome.ts";

/**
 * Returns how many seconds the server is asked to wait: from 20 to 30, which most proxies allow. The
 * time is random, so that devices that begin to wait together do not all ask again together.
 *
 * @param random from 0 up to 1
 */
export function waitSeconds(random: number): number {
  return Math.floor(20 + 10 * random);
}

/**
 * The outcome of a wait whose connection broke before the answer began. `undefined` for failures that any
 * request can have.
 */
export function endBy(error: unknown): Outcome | undefined {
  if (!(error instanceof ServerUnavailable) || error.limited) return undefined;
  // The connection is dead, for example since the device has slept.
  if (error.code === "idle-timeout") return { kind: "incomplete" };
  return { kind: "cut", retryAfter: error.retryAfter };
}

/**
 * Whether an answer without news came too early to be the end of a wait: a server that stops ends
 * all its waits. No answer within a second is a wait, whatever it says: it would be asked for again at
 * once, and again.
 *
 * @param milliseconds from the request to the answer
 * @param seconds for which the server says it would have waited; NaN if it does not wait
 */
export function isEarly(milliseconds: number, seconds: number): boolean {
  return milliseconds < 1000 * Math.max(1, seconds - 1);
}
