/** Guests: keys that a user on the list has had let in for a short time, such as to add a device. */
import type { Fingerprint } from "../oplog/names.ts";
import type { UserLimits } from "./user-limits.ts";

/** A key that is let in, or was within the last hour. */
export interface Guest {
  /** The user on the list who had it let in. */
  readonly host: Fingerprint;
  /** Until when it is let in, in milliseconds of Unix time. */
  readonly until: number;
}

/** For how long a key is a guest, in milliseconds. */
export const GUEST_MS = 15 * 60_000;

/** What a guest may store, in place of what the settings say. */
export const GUEST_LIMITS: UserLimits = { bytes: 64 * 1024, clients: 2 };

/** How many guests a user may have let in within this time, in milliseconds. */
export const GUESTS_PER_USER = 6;
const COUNTED_MS = 60 * 60_000;

/** Refused: the user has had too many guests let in. */
export class GuestsLimited extends Error {
  override name = "GuestsLimited";
  readonly code = "rate-limited";
  /** In seconds. */
  readonly retryAfter: number;
  readonly detail: string;
  constructor(retryAfter: number) {
    super("the user has had too many guests let in");
    this.retryAfter = retryAfter;
    this.detail = `This user has had ${GUESTS_PER_USER} keys let in as guests within an hour. Nothing was stored. Try again in ${retryAfter} s.`;
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

/** Whether a guest still counts against what its host may have let in. */
export function isCounted({ until }: Guest, time: number): boolean {
  return until - GUEST_MS + COUNTED_MS > time;
}

/**
 * Throws `GuestsLimited` where a user may have no other key let in.
 *
 * @param guests all that were let in within the last hour
 * @param time milliseconds of Unix time
 */
export function checkHost(guests: Iterable<Guest>, host: Fingerprint, time: number): void {
  const counted = [...guests].filter((guest) => guest.host === host && isCounted(guest, time));
  if (counted.length < GUESTS_PER_USER) return;
  const first = Math.min(...counted.map(({ until }) => until));
  throw new GuestsLimited(Math.max(1, Math.ceil((first - GUEST_MS + COUNTED_MS - time) / 1000)));
}
