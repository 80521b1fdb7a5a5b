/** Limits how many requests, and bytes of them, are in flight at once: in all and by address. */
import { BudgetExhausted } from "../../oplog/prefetch.ts";

export interface ConcurrencyLimiterOptions {
  /** Requests in flight at most, from the arrival of the head to the last byte of the answer. */
  readonly maxRequests: number;
  /** Bytes of bodies, and of operations read ahead, in memory at most. */
  readonly maxBuffered: number;
  /** How long a request waits for memory that it needs to continue, in milliseconds. */
  readonly waitTimeout: number;
}

/** Each request may hold this much uncounted: `maxRequests` bounds it. In bytes. */
const FREE = 64 * 1024;

/** What the requests of one network address use. */
interface Share {
  requests: number;
  bytes: number;
}

/**
 * Admits requests, and lets them hold bytes, while there is room. An address may use as much as is
 * left for all others, and no more: alone it gets half; two that want everything approach a third
 * each as their requests end and begin, with a third left for the next (the dynamic threshold of
 * Choudhury and Hahne, 1998).
 */
export class ConcurrencyLimiter {
  readonly #options: ConcurrencyLimiterOptions;
  readonly #shares = new Map<string, Share>();
  /** Called when bytes are freed. */
  #waiting: (() => void)[] = [];
  #requests = 0;
  #bytes = 0;

  constructor(options: ConcurrencyLimiterOptions) {
    this.#options = options;
  }

  /** How long a request waits for bytes, in milliseconds. */
  get waitTimeout(): number {
    return this.#options.waitTimeout;
  }

  /** How many requests are in flight. */
  get requests(): number {
    return this.#requests;
  }

  /** How many bytes are held, beyond what each request may hold uncounted. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many addresses have requests in flight. */
  get addresses(): number {
    return this.#shares.size;
  }

  /** A permit for a request, which the caller releases; `undefined` where there is no room. */
  acquire(address: string): Permit | undefined {
    let share = this.#shares.get(address);
    if ((share?.requests ?? 0) >= this.#options.maxRequests - this.#requests) return undefined;
    if (share === undefined) {
      share = { requests: 0, bytes: 0 };
      this.#shares.set(address, share);
    }
    this.#requests++;
    share.requests++;
    return new Permit(this, address, share);
  }

  /** For permits: takes bytes if there is room. */
  take(share: Share, bytes: number): boolean {
    const room = this.#options.maxBuffered - this.#bytes;
    // A request for more than the maximum is granted when nothing else is held.
    if (share.bytes + bytes > room && this.#bytes > 0) return false;
    this.#bytes += bytes;
    share.bytes += bytes;
    return true;
  }

  /** For permits: frees bytes. */
  give(share: Share, bytes: number): void {
    this.#bytes -= bytes;
    share.bytes -= bytes;
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const again of waiting) again();
  }

  /** For permits: resolves when bytes are freed; throws `BudgetExhausted` when none are in time. */
  freed(until: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const again = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== again);
        reject(new BudgetExhausted("no memory was freed in time"));
      }, until - performance.now());
      this.#waiting.push(again);
    });
  }

  /** For permits: the request has ended. */
  leave(address: string, share: Share): void {
    this.#requests--;
    share.requests--;
    if (share.requests === 0) this.#shares.delete(address);
  }
}

/** The right of one request to be in flight, and the bytes it holds. */
export class Permit {
  readonly #limiter: ConcurrencyLimiter;
  readonly #address: string;
  readonly #share: Share;
  #held = 0;
  #released = false;

  constructor(limiter: ConcurrencyLimiter, address: string, share: Share) {
    this.#limiter = limiter;
    this.#address = address;
    this.#share = share;
  }

  /** Holds more bytes, or returns false where there is no room. After `release`, none count. */
  tryReserve(bytes: number): boolean {
    if (this.#released) return true;
    const more = charged(this.#held + bytes) - charged(this.#held);
    if (more > 0 && !this.#limiter.take(this.#share, more)) return false;
    this.#held += bytes;
    return true;
  }

  /** Holds more bytes once there is room. Throws `BudgetExhausted` when that takes too long. */
  async reserve(bytes: number): Promise<void> {
    const until = performance.now() + this.#limiter.waitTimeout;
    while (!this.tryReserve(bytes)) await this.#limiter.freed(until);
  }

  /** Frees bytes that it holds. */
  free(bytes: number): void {
    if (this.#released) return;
    const less = charged(this.#held) - charged(this.#held - bytes);
    this.#held -= bytes;
    this.#limiter.give(this.#share, less);
  }

  /** Frees all bytes and ends the permit. Further calls do nothing. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#limiter.give(this.#share, charged(this.#held));
    this.#limiter.leave(this.#address, this.#share);
  }
}

function charged(bytes: number): number {
  return Math.max(0, bytes - FREE);
}
