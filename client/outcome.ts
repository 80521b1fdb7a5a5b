/** How a round ended. */
export type Outcome =
  /** There is nothing left to send or to read. */
  | { readonly kind: "complete" }
  /** Another round has to follow. */
  | { readonly kind: "incomplete" }
  /**
   * The server, or something on the way to it, ended a wait for news: it may be restarting, and all
   * its clients come back. `retryAfter`: milliseconds that it asks to wait.
   */
  | { readonly kind: "cut"; readonly retryAfter: number }
  /** `progressed`: operations were acknowledged or delivered before the failure. */
  | { readonly kind: "failed"; readonly error: unknown; readonly progressed: boolean };
