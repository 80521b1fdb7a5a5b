/** Guests: keys that the server accepts for a short time because a user on the list has asked for it. */
import type { Fingerprint } from "../oplog/names.ts";
import type { UserLimits } from "./user-limits.ts";

/** A key that is admitted, or was within the last hour. */
export interface Guest {
  /** The user on the list who asked for it. */
  readonly host: Fingerprint;
  /** Until when it is accepted, in milliseconds of Unix time. */
  readonly until: number;
}

/** For how long a key is a guest, in milliseconds. */
export const GUEST_MS = 15 * 60_000;

/** What a guest may store, in place of what the settings say. */
export const GUEST_LIMITS: UserLimits = { bytes: 64 * 1024, clients: 2 };

/** How many guests a user may have within `COUNTED_MS`, which is in milliseconds. */
export const GUESTS_PER_USER = 6;
const COUNTED_MS = 60 * 60_000;

/** Refused: the user has had too many guests. */
export class GuestsLimited extends Error {
  override name = "GuestsLimited";
  readonly code = "rate-limited";
  /** In seconds. */
  readonly retryAfter: number;
  readonly detail: string;
  constructor(retryAfter: number) {
    super("the user has had too many guests");
    this.retryAfter = retryAfter;
    this.detail = `This user has had ${GUESTS_PER_USER} guests within an hour. Nothing was stored. Try again in ${retryAfter} s.`;
  }
}

/** Refused: something is stored of the key, so it is not one that was made to be a guest. */
export class GuestKnown extends Error {
  override name = "GuestKnown";
  readonly code = "invalid-request";
  constructor() {
    super(
      "Sync-Guest names a key of which something is stored here. Make a new key for the guest.",
    );
  }
}

/** Whether a guest still counts against the limit of its host. */
export function isCounted({ until }: Guest, time: number): boolean {
  return until - GUEST_MS + COUNTED_MS > time;
}

/**
 * Throws `GuestsLimited` if a user may have no other guest now.
 *
 * @param guests all that were admitted within the last hour
 * @param time milliseconds of Unix time
 */
export function checkHost(guests: Iterable<Guest>, host: Fingerprint, time: number): void {
  const counted = [...guests].filter((guest) => guest.host === host && isCounted(guest, time));
  if (counted.length < GUESTS_PER_USER) return;
  const first = Math.min(...counted.map(({ until }) => until));
  throw new GuestsLimited(Math.max(1, Math.ceil((first - GUEST_MS + COUNTED_MS - time) / 1000)));
}
