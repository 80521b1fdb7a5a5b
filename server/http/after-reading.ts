import { setImmediate, setTimeout } from "node:timers";

/** In milliseconds. Deno reads more than once until a body has arrived. */
const READING = 100;

/**
 * Calls back once the event loop has read what was there to be read. A deadline of a client that comes
 * while the process was busy, or did not run, can come before what the client has sent or taken in
 * time.
 */
export function afterReading(then: () => void): void {
  setImmediate(() => setTimeout(then, READING));
}
