import type { Listing } from "../oplog/listing.ts";
import type { Fingerprint } from "../oplog/names.ts";
import { lruOf } from "../storage/lru.ts";
import { AddressLimiter } from "./address-limiter.ts";
import type { PublicKey } from "./public-key.ts";

/** Refused: too much work was done for strangers from this network address. */
export class AddressLimited extends Error {
  override name = "AddressLimited";
  readonly code = "rate-limited";
  /** In seconds. */
  readonly retryAfter: number;
  readonly detail: string;
  constructor(retryAfter: number) {
    super("too much work was done for strangers from this network address");
    this.retryAfter = retryAfter;
    this.detail = `Too many requests from this network address were signed wrongly, had an invite, or were of users with nothing stored. Nothing was stored. Try again in ${retryAfter} s.`;
  }
}

/** Tokens that an address gains in a second, and that it can save up. */
const RATE = 10;
const BURST = 200;

/** How many users are remembered who are no strangers: who have signed, and of whom something is stored. */
const REMEMBERED = 10_000;

/** The length of a public key of 2048 bits, in bytes. */
const SHORTEST_KEY = 294;

/**
 * Counts, by network address, the work that is done for no known user: a list of storage for a user
 * with nothing stored, the check of a signature that is invalid, and the code of an invite. No limit of a
 * user can count it, because making a key costs nothing.
 */
export class Strangers {
  readonly #limiter: AddressLimiter;
  readonly #signed = lruOf<Fingerprint, true>(REMEMBERED);
  readonly #stored = lruOf<Fingerprint, true>(REMEMBERED);

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number) {
    this.#limiter = new AddressLimiter({ rate: RATE, burst: BURST, now });
  }

  /**
   * To be called before a signature is verified. Throws `AddressLimited`, but not for a user who has
   * signed recently, who may share the address with a stranger.
   */
  beforeSignature(address: string, { fingerprint }: PublicKey): void {
    if (!this.#signed.has(fingerprint)) this.#check(address);
  }

  /** To be called once a signature was checked: an invalid one costs the square of its key's length. */
  afterSignature(address: string, { fingerprint, spki }: PublicKey, holds: boolean): void {
    if (holds) this.#signed.set(fingerprint, true);
    else this.#limiter.charge(address, (spki.byteLength / SHORTEST_KEY) ** 2);
  }

  /** To be called before the code of an invite is looked up, against guessing. Throws `AddressLimited`. */
  beforeInvite(address: string): void {
    this.#check(address);
    this.#limiter.charge(address, 1);
  }

  /**
   * To be called before storage is listed for a user. Throws `AddressLimited` for one who is not
   * known to have anything stored.
   *
   * @param listing the user's listing, where one is cached
   */
  beforeList(address: string, user: Fingerprint, listing: Listing | undefined): void {
    if (listing?.isEmpty ?? !this.#stored.has(user)) this.#check(address);
  }

  /** To be called with the listing of a request. */
  afterList(address: string, user: Fingerprint, listing: Listing): void {
    if (listing.isEmpty) this.#limiter.charge(address, 1);
    else this.#stored.set(user, true);
  }

  #check(address: string): void {
    const wait = this.#limiter.retryAfter(address);
    if (wait > 0) throw new AddressLimited(wait);
  }
}
