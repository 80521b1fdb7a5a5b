/** How much of the server requests may take at once, and how much of that one network address. */
import { BudgetExhausted } from "../../oplog/prefetch.ts";

export interface AdmissionOptions {
  /** How many requests are in flight at most, from the head's arrival to the answer's last byte. */
  readonly maxRequests: number;
  /** How many bytes of bodies and of operations read ahead are in memory at most. */
  readonly maxBuffered: number;
  /** How long a request waits for bytes that it needs to go on, in milliseconds. */
  readonly patience: number;
}

/** Each request may hold this much without asking: `maxRequests` bounds it. In bytes. */
const FREE = 64 * 1024;

/** What the requests of one network address take. */
interface Share {
  requests: number;
  bytes: number;
}

/**
 * Lets requests in, and lets them hold bytes, while there is room. An address may take as much as
 * is left for the others, and no more: alone it gets half; two that want all come to a third each
 * as their requests end and begin, with a third left for the next (the dynamic threshold of
 * Choudhury and Hahne, 1998).
 */
export class ConcurrencyLimiter {
  readonly #options: AdmissionOptions;
  readonly #shares = new Map<string, Share>();
  /** Called when bytes were given back. */
  #waiting: (() => void)[] = [];
  #requests = 0;
  #bytes = 0;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** How long bytes are waited for, in milliseconds. */
  get patience(): number {
    return this.#options.patience;
  }

  /** How many requests are in flight. */
  get requests(): number {
    return this.#requests;
  }

  /** How many bytes are held, beyond what each request may hold without asking. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many addresses have requests in flight. */
  get addresses(): number {
    return this.#shares.size;
  }

  /** A permit for a request, which the caller gives back by `release`; `undefined` without room. */
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
    // What is larger than all there is goes by itself.
    if (share.bytes + bytes > room && this.#bytes > 0) return false;
    this.#bytes += bytes;
    share.bytes += bytes;
    return true;
  }

  /** For permits: gives bytes back. */
  give(share: Share, bytes: number): void {
    this.#bytes -= bytes;
    share.bytes -= bytes;
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const again of waiting) again();
  }

  /** For permits: resolves when bytes have been given back; throws `BudgetExhausted` where none are for long. */
  given(until: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const again = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== again);
        reject(new BudgetExhausted("nobody gave back memory to read in"));
      }, until - performance.now());
      this.#waiting.push(again);
    });
  }

  /** For permits: gives a permit back. */
  leave(address: string, share: Share): void {
    this.#requests--;
    share.requests--;
    if (share.requests === 0) this.#shares.delete(address);
  }
}

/** The place of one request among those in flight, and the bytes it holds. */
export class Permit {
  readonly #admission: ConcurrencyLimiter;
  readonly #address: string;
  readonly #share: Share;
  #held = 0;
  #left = false;

  constructor(admission: ConcurrencyLimiter, address: string, share: Share) {
    this.#admission = admission;
    this.#address = address;
    this.#share = share;
  }

  /** Holds more bytes, or is false when there is no room for them. Once it has left, none count. */
  tryReserve(bytes: number): boolean {
    if (this.#left) return true;
    const more = charged(this.#held + bytes) - charged(this.#held);
    if (more > 0 && !this.#admission.take(this.#share, more)) return false;
    this.#held += bytes;
    return true;
  }

  /** Holds more bytes as soon as there is room for them; throws `BudgetExhausted` when that takes too long. */
  async reserve(bytes: number): Promise<void> {
    const until = performance.now() + this.#admission.patience;
    while (!this.tryReserve(bytes)) await this.#admission.given(until);
  }

  /** Gives back bytes that it holds. */
  free(bytes: number): void {
    if (this.#left) return;
    const less = charged(this.#held) - charged(this.#held - bytes);
    this.#held -= bytes;
    this.#admission.give(this.#share, less);
  }

  /** Gives back all it holds, and its place. Further calls do nothing. */
  release(): void {
    if (this.#left) return;
    this.#left = true;
    this.#admission.give(this.#share, charged(this.#held));
    this.#admission.leave(this.#address, this.#share);
  }
}

function charged(bytes: number): number {
  return Math.max(0, bytes - FREE);
}
