import type { NextStep } from "./next-step.ts";
import type { Outcome } from "./outcome.ts";

/** Rounds of requests. */
export interface Rounds {
  /** Whether the server waits for news, and this client asks it by itself. */
  readonly live: boolean;
  /**
   * Sends the oldest operations that wait, and reads what is new. Never rejects.
   *
   * @param onAnswer if it is there and nothing is to be sent, the server is asked to wait for news.
   *   Called when its answer begins: until then, an abort loses nothing
   */
  round(signal: AbortSignal, onAnswer?: () => void): Promise<Outcome>;
  /** A round without the server: delivers what is on this device. Never rejects. */
  deliver(): Promise<Outcome>;
  /** What follows from a round, to be called once for each. */
  next(outcome: Outcome): NextStep;
}
