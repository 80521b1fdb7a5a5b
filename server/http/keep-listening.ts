/** On Deno: listens again when no file was left for a connection, which ends its server. */
import { setTimeout as sleep } from "node:timers/promises";

/** How long until it listens again, while idle connections close, in milliseconds. */
const AGAIN_AFTER = 100;

/** The parts of a server of srvx that are used here. */
export interface Served {
  readonly close: (force?: boolean) => Promise<void>;
  readonly deno?: { readonly server?: { readonly finished: Promise<void> } } | undefined;
}

export interface KeepListeningOptions {
  /** Listens on the same place as the first time. */
  readonly start: () => Promise<Served>;
  /** Called with the reason when connections cannot be accepted, before it listens again. */
  readonly onError: (error: unknown) => void;
  /** Called with the reason when it cannot listen again. */
  readonly onLost: (error: unknown) => void;
}

/** Keeps a server listening. Returns the function that closes it. */
export function keepListening(
  first: Served,
  { start, onError, onLost }: KeepListeningOptions,
): Served["close"] {
  let server = first;
  let closing = false;
  let earlier: Promise<unknown> = Promise.resolve();
  const again = async () => {
    // Ends idle connections, also those that have sent nothing. Running requests continue.
    const ended = server.close();
    ended.catch(onLost);
    earlier = Promise.all([earlier, ended]);
    await sleep(AGAIN_AFTER);
    if (closing) return;
    server = await start();
    watch();
  };
  const watch = () => {
    server.deno?.server?.finished.catch((error: unknown) => {
      onError(error);
      again().catch(onLost);
    });
  };
  watch();
  return async (force) => {
    closing = true;
    await Promise.all([earlier, server.close(force)]);
  };
}
