/** How much of the server requests may take at once, and how much of that one network address. */
import { NoRoom } from "../../oplog/prefetch.ts";

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
export class Admission {
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

  /** A slot for a request, which the caller gives back by `leave`; `undefined` without room. */
  enter(address: string): Slot | undefined {
    let share = this.#shares.get(address);
    if ((share?.requests ?? 0) >= this.#options.maxRequests - this.#requests) return undefined;
    if (share === undefined) {
      share = { requests: 0, bytes: 0 };
      this.#shares.set(address, share);
    }
    this.#requests++;
    share.requests++;
    return new Slot(this, address, share);
  }

  /** For slots: takes bytes if there is room. */
  take(share: Share, bytes: number): boolean {
    const room = this.#options.maxBuffered - this.#bytes;
    // What is larger than all there is goes by itself.
    if (share.bytes + bytes > room && this.#bytes > 0) return false;
    this.#bytes += bytes;
    share.bytes += bytes;
    return true;
  }

  /** For slots: gives bytes back. */
  give(share: Share, bytes: number): void {
    this.#bytes -= bytes;
    share.bytes -= bytes;
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const again of waiting) again();
  }

  /** For slots: resolves when bytes have been given back; throws `NoRoom` where none are for long. */
  given(until: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const again = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== again);
        reject(new NoRoom("nobody gave back memory to read in"));
      }, until - performance.now());
      this.#waiting.push(again);
    });
  }

  /** For slots: gives a slot back. */
  leave(address: string, share: Share): void {
    this.#requests--;
    share.requests--;
    if (share.requests === 0) this.#shares.delete(address);
  }
}

/** The place of one request among those in flight, and the bytes it holds. */
export class Slot {
  readonly #admission: Admission;
  readonly #address: string;
  readonly #share: Share;
  #held = 0;
  #left = false;

  constructor(admission: Admission, address: string, share: Share) {
    this.#admission = admission;
    this.#address = address;
    this.#share = share;
  }

  /** Holds more bytes, or is false when there is no room for them. Once it has left, none count. */
  tryHold(bytes: number): boolean {
    if (this.#left) return true;
    const more = charged(this.#held + bytes) - charged(this.#held);
    if (more > 0 && !this.#admission.take(this.#share, more)) return false;
    this.#held += bytes;
    return true;
  }

  /** Holds more bytes as soon as there is room for them; throws `NoRoom` when that takes too long. */
  async hold(bytes: number): Promise<void> {
    const until = performance.now() + this.#admission.patience;
    while (!this.tryHold(bytes)) await this.#admission.given(until);
  }

  /** Gives back bytes that it holds. */
  release(bytes: number): void {
    if (this.#left) return;
    const less = charged(this.#held) - charged(this.#held - bytes);
    this.#held -= bytes;
    this.#admission.give(this.#share, less);
  }

  /** Gives back all it holds, and its place. Further calls do nothing. */
  leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#admission.give(this.#share, charged(this.#held));
    this.#admission.leave(this.#address, this.#share);
  }
}

function charged(bytes: number): number {
  return Math.max(0, bytes - FREE);
}
