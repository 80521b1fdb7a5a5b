/** Readers that wait for news of their user: how many there may be, what wakes them, when they end. */
import type { Fingerprint } from "../oplog/names.ts";

/**
 * What lets a reader go on: something may be there for it; its time is over; it has hung up; the
 * server stops.
 */
export type Wake = "news" | "ended" | "gone" | "stopped";

export interface WaitersOptions {
  /** Places in all. */
  readonly max: number;
  /** After how many milliseconds a reader looks again, whether it was woken or not. */
  readonly lookEvery: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** How often ends are looked for, in milliseconds: a wait is at most so much longer. */
const TICK_MS = 250;

/** Readers of one user at most: each append has all of them look. */
const MAX_OF_USER = 100;

/** A longer sync status takes more places, because each place stands for so much memory. */
const CLIENTS_PER_PLACE = 100;

/** Readers woken in one turn of the event loop, so that other requests come between. */
const WOKEN_AT_ONCE = 32;

/** A reader that has a place: while it looks for news, and while it waits. */
export class Waiter {
  readonly user: Fingerprint;
  readonly address: string;
  readonly places: number;
  /** When its time is over. */
  readonly until: number;
  /** The tick at which it is woken at the latest; for `Waiters`. */
  due = 0;
  /** What has happened since the last look. News can be followed by anything, and the rest is final. */
  #wake: Wake | undefined;
  #resolve: ((wake: Wake) => void) | undefined;

  constructor(user: Fingerprint, address: string, places: number, until: number) {
    this.user = user;
    this.address = address;
    this.places = places;
    this.until = until;
  }

  /** To be called before a look: news that comes from now on ends the next wait. */
  beforeLook(): void {
    if (this.#wake === "news") this.#wake = undefined;
  }

  /** Resolves to what lets the reader go on, at once where that has happened since its last look. */
  wait(): Promise<Wake> {
    if (this.#wake !== undefined) return Promise.resolve(this.#wake);
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Notes what has happened. Returns true for a reader that waits: `goOn` lets it go on. */
  note(wake: Wake): boolean {
    if (this.#wake !== undefined && this.#wake !== "news") return false;
    const isFirst = this.#wake === undefined;
    this.#wake = wake;
    return isFirst && this.#resolve !== undefined;
  }

  goOn(): void {
    if (this.#wake === undefined) return;
    this.#resolve?.(this.#wake);
    this.#resolve = undefined;
  }

  /** Ends the wait of a reader that has hung up. */
  hangUp(): void {
    this.note("gone");
    this.goOn();
  }
}

/**
 * All readers that wait. A reader takes its place before it looks for news, so that what is stored
 * between its look and its wait wakes it.
 */
export class Waiters {
  readonly #options: WaitersOptions;
  readonly #users = new Map<Fingerprint, Set<Waiter>>();
  /** The places that each network address has taken. */
  readonly #addresses = new Map<string, number>();
  /** Readers by the tick at which they are due. */
  readonly #due = new Map<number, Set<Waiter>>();
  /** Noted, and not yet let go on. */
  #woken: Waiter[] = [];
  #waking = false;
  #places = 0;
  #count = 0;
  #stopped = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(options: WaitersOptions) {
    this.#options = options;
  }

  /** How many readers have a place. */
  get count(): number {
    return this.#count;
  }

  /** The users whose readers have a place. */
  get users(): Iterable<Fingerprint> {
    return this.#users.keys();
  }

  /**
   * A place for a reader, which the caller gives back by `leave`; `undefined` where there is none. A
   * network address may take as many as are left for all others, as with `ConcurrencyLimiter`.
   *
   * @param clients how many clients its sync status names
   * @param milliseconds how long it waits at most
   */
  enter(
    user: Fingerprint,
    address: string,
    clients: number,
    milliseconds: number,
  ): Waiter | undefined {
    const { max, now } = this.#options;
    const places = 1 + Math.floor(clients / CLIENTS_PER_PLACE);
    const ofAddress = this.#addresses.get(address) ?? 0;
    const ofUser = this.#users.get(user) ?? new Set();
    if (this.#stopped || ofUser.size >= MAX_OF_USER) return undefined;
    if (ofAddress + places > max - this.#places) return undefined;
    const waiter = new Waiter(user, address, places, now() + milliseconds);
    this.#users.set(user, ofUser.add(waiter));
    this.#addresses.set(address, ofAddress + places);
    this.#places += places;
    this.#count++;
    this.#file(waiter, now() + this.#options.lookEvery);
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
    return waiter;
  }

  /** Gives a place back. */
  leave(waiter: Waiter): void {
    const { user, address, places } = waiter;
    const ofUser = this.#users.get(user);
    if (ofUser?.delete(waiter) !== true) return;
    if (ofUser.size === 0) this.#users.delete(user);
    const ofAddress = (this.#addresses.get(address) ?? 0) - places;
    if (ofAddress > 0) this.#addresses.set(address, ofAddress);
    else this.#addresses.delete(address);
    this.#places -= places;
    this.#count--;
    this.#unfile(waiter);
    if (this.#count > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Has all readers of a user look: something was stored, or nobody may read it any more. */
  wake(user: Fingerprint): void {
    const ofUser = this.#users.get(user);
    if (ofUser === undefined) return;
    for (const waiter of ofUser) if (waiter.note("news")) this.#woken.push(waiter);
    this.#goOn();
  }

  /** Has a reader look again at the next tick. */
  later(waiter: Waiter): void {
    this.#file(waiter, this.#options.now());
  }

  /** Lets all readers go on at once, and gives no place from now on. */
  stop(): void {
    this.#stopped = true;
    for (const ofUser of this.#users.values()) {
      for (const waiter of ofUser) {
        waiter.note("stopped");
        waiter.goOn();
      }
    }
  }

  #file(waiter: Waiter, at: number): void {
    this.#unfile(waiter);
    waiter.due = Math.floor(Math.min(at, waiter.until) / TICK_MS) + 1;
    const due = this.#due.get(waiter.due) ?? new Set();
    this.#due.set(waiter.due, due.add(waiter));
  }

  #unfile(waiter: Waiter): void {
    const due = this.#due.get(waiter.due);
    if (due?.delete(waiter) === true && due.size === 0) this.#due.delete(waiter.due);
  }

  #tick(): void {
    const now = this.#options.now();
    const tick = now / TICK_MS;
    // No more than the ticks of the longest wait, however many readers there are.
    for (const [at, due] of this.#due) {
      if (at > tick) continue;
      for (const waiter of due) {
        const isOver = waiter.until <= now;
        if (waiter.note(isOver ? "ended" : "news")) this.#woken.push(waiter);
        if (isOver) this.#unfile(waiter);
        else this.#file(waiter, now + this.#options.lookEvery);
      }
    }
    this.#goOn();
  }

  /** Lets those that were woken go on: some now, the others in later turns. */
  #goOn(): void {
    if (this.#waking) return;
    for (const waiter of this.#woken.splice(0, WOKEN_AT_ONCE)) waiter.goOn();
    if (this.#woken.length === 0) return;
    this.#waking = true;
    setImmediate(() => {
      this.#waking = false;
      this.#goOn();
    });
  }
}
