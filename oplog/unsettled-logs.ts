import type { Fingerprint } from "./names.ts";

export interface UnsettledLogsOptions {
  /** How often a log is announced, in milliseconds. */
  readonly every: number;
  readonly announce: (user: Fingerprint) => Promise<void>;
}

/** How often a log is announced: storage may do much later what it has failed to do in time. */
const TIMES = 10;

const MOST_LOGS = 10_000;

/**
 * Logs in which a failed put may have stored something, now or later. This server lists such a log again by
 * itself; the others have to be asked to.
 */
export class UnsettledLogs {
  readonly #options: UnsettledLogsOptions;
  /** How often each log is still to be announced. */
  readonly #left = new Map<Fingerprint, number>();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(options: UnsettledLogsOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#left.size === 0;
  }

  add(user: Fingerprint): void {
    if (this.#left.size >= MOST_LOGS && !this.#left.has(user)) return;
    this.#left.set(user, TIMES);
    this.#timer ??= setInterval(() => this.#announceAll(), this.#options.every);
    this.#timer.unref();
  }

  #announceAll(): void {
    for (const [user, times] of this.#left) {
      if (times > 1) this.#left.set(user, times - 1);
      else this.#left.delete(user);
      void this.#options.announce(user);
    }
    if (this.#left.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
