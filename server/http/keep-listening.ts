/** On Bun and Deno: stops listening while connections use up the files, and listens again. */
import { setTimeout as sleep } from "node:timers/promises";
import { BASE, maxConnections } from "./connections.ts";
import { fileLimit, openFiles, SpareFiles } from "./open-files.ts";

/**
 * How often Bun looks at how many files are open, in milliseconds. It does not say when none is left
 * for a connection: it tries to accept it again and again, and uses a whole core.
 */
const LOOK_EVERY = 250;

/** How long until it listens again, at least, while idle connections close, in milliseconds. */
const AGAIN_AFTER = 100;

/**
 * Files that storage finds while connections have taken all others: Bun closes those that have sent
 * nothing, or not all of a head, only after 12 seconds. On Deno they are free once it has stopped
 * listening, because it closes these connections at once, and it needs as many to listen again.
 */
const SPARE = 32;

/**
 * After how many times the client timeout Deno gives up. Deno 2.8.3 to 2.9.6 keeps a connection whose
 * request was answered before all of its body came, until the client closes it
 * (https://github.com/denoland/deno/pull/34446 brought that). Only the end of the process frees the files
 * of such connections; all others have ended by then.
 */
const PATIENCE = 2;

/** What srvx has of a server on each runtime. */
export interface Served {
  readonly close: (force?: boolean) => Promise<void>;
  readonly bun?: unknown;
  readonly deno?: { readonly server?: { readonly finished: Promise<void> } } | undefined;
}

export interface KeepListeningOptions {
  /** How long a client may take to send its request, in milliseconds. */
  readonly clientTimeout: number;
  /** Listens on the same place as the first time. */
  readonly start: () => Promise<Served>;
  /** Called with the reason when it no longer accepts connections. It listens again later. */
  readonly onFull: (reason: unknown) => void;
  /** Called with the reason when it cannot listen again. */
  readonly onLost: (error: unknown) => void;
}

/** The open connections have held all files for too long. */
class StillFull extends Error {
  override name = "StillFull";
  constructor() {
    super("clients hold connections that use up the files: put a proxy in front");
  }
}

/** Keeps a server listening. Returns what closes it. */
export function keepListening(
  first: Served,
  { clientTimeout, start, onFull, onLost }: KeepListeningOptions,
): Served["close"] {
  const limit = fileLimit();
  const isKnown = limit !== Number.POSITIVE_INFINITY;
  const onBun = first.bun !== undefined;
  const held = onBun && isKnown ? Math.min(SPARE, Math.floor(limit / 4)) : 0;
  const spare = new SpareFiles(held);
  // On Bun, of the files that are not open anyway, half are for connections, as on Node.
  const most = onBun ? BASE + held + maxConnections(limit - held) : limit - SPARE;
  const hasRoom = () => !isKnown || openFiles() + spare.missing <= most;
  let server = first;
  let closing = false;
  let earlier: Promise<unknown> = Promise.resolve();
  let looking: ReturnType<typeof setInterval> | undefined;

  const again = async (reason: unknown) => {
    // Ends idle connections. Running requests continue.
    const ended = server.close();
    spare.release();
    ended.catch(onLost);
    onFull(reason);
    earlier = Promise.all([earlier, ended]);
    const givesUp = onBun ? Number.POSITIVE_INFINITY : performance.now() + PATIENCE * clientTimeout;
    do await sleep(AGAIN_AFTER);
    while (!closing && !hasRoom() && performance.now() < givesUp);
    if (closing) return;
    if (!hasRoom()) throw new StillFull();
    server = await start();
    if (closing) await server.close(true);
    else watch();
  };
  const watch = () => {
    spare.hold();
    server.deno?.server?.finished.catch((error: unknown) => again(error).catch(onLost));
    if (!onBun || !isKnown) return;
    looking = setInterval(() => {
      if (hasRoom()) return;
      clearInterval(looking);
      again(new Error(`more than ${most} of ${limit} files are open`)).catch(onLost);
    }, LOOK_EVERY);
    looking.unref();
  };
  watch();
  return async (force) => {
    closing = true;
    clearInterval(looking);
    spare.release();
    await Promise.all([earlier, server.close(force)]);
  };
}
