/** A time in which something was the matter with a server, in milliseconds of the simulation. */
interface Trouble {
  readonly from: number;
  to: number;
}

/** For the milliseconds that the log rounds off. */
const ROUNDED_MS = 5;

/**
 * Remembers which server was down when, and reads from their logs when they went without the cluster: by
 * their own word they show everything at any other time.
 */
export class Health {
  readonly #down = new Map<string, Trouble[]>();
  readonly #logs = new Map<string, Log>();

  /** Adds a server, with what it has logged so far. */
  add(server: string, read: () => string): void {
    this.#logs.set(server, { read, length: 0, losses: [] });
  }

  /** Says that a server does not answer from now on. Returns what ends it. */
  goesDown(server: string): () => void {
    const trouble = { from: performance.now(), to: Number.POSITIVE_INFINITY };
    this.#down.set(server, [...(this.#down.get(server) ?? []), trouble]);
    return () => {
      trouble.to = performance.now();
    };
  }

  /** Whether a server could answer at every moment of a time. */
  isUp(server: string, from: number, to: number): boolean {
    return isFree(this.#down.get(server) ?? [], from, to);
  }

  /** Whether a server took part in the cluster at every moment of a time. */
  isJoined(server: string, from: number, to: number): boolean {
    return isFree(this.losses(server), from, to);
  }

  /** When a server took no part in the cluster. */
  losses(server: string): readonly Trouble[] {
    const log = this.#logs.get(server);
    if (log === undefined) return [];
    const lines = log.read().slice(log.length);
    const origin = Date.now() - performance.now();
    for (const [, time = "", lost] of lines.matchAll(LINE)) {
      const at = Date.parse(time) - origin;
      const last = log.losses.at(-1);
      if (lost !== undefined) {
        log.losses.push({ from: at - ROUNDED_MS, to: Number.POSITIVE_INFINITY });
      } else if (last !== undefined) last.to = at + ROUNDED_MS;
    }
    // The last line may have come in part.
    log.length += lines.lastIndexOf("\n") + 1;
    return log.losses;
  }
}

/** What a server has logged, and how much of it was read. */
interface Log {
  readonly read: () => string;
  length: number;
  readonly losses: Trouble[];
}

const LINE =
  /^\{"time":"([^"]+)","level":"\w+","message":"the cluster is (?:(lost)|reached)[^\n]*\n/gm;

function isFree(troubles: readonly Trouble[], from: number, to: number): boolean {
  return troubles.every((trouble) => trouble.to < from || trouble.from > to);
}
