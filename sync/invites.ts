/** Invites: codes with which users who are not on the list can enter it, one user for each code. */
import { createHash } from "node:crypto";
import type { Fingerprint } from "../oplog/names.ts";
import { InvalidAllowList, limitOf, type UserLimits } from "./user-limits.ts";

/** An invite of a list. The code itself is not stored: reading the list does not let anyone use it. */
export interface Invite {
  /** The SHA-256 of the code, in hexadecimal digits. */
  readonly hash: string;
  /** Until when the code may be used for the first time, in milliseconds of Unix time. */
  readonly expires: number;
  /** How much the user who enters by it may store. */
  readonly limits: UserLimits;
}

/** Why a code does not admit a user: no invite has it, another user has used it, or it has expired. */
export const INVITE_FAULTS = ["unknown", "used", "expired"] as const;
export type InviteFault = (typeof INVITE_FAULTS)[number];

/** Refused: the code of the request does not admit its user. */
export class InviteRefused extends Error {
  override name = "InviteRefused";
  readonly code = "invite-refused";
  /** The fingerprint whole: its owner may give it to the operator, as where there is no invite. */
  readonly members: { readonly reason: InviteFault; readonly fingerprint: Fingerprint };
  constructor(user: Fingerprint, reason: InviteFault) {
    super(MESSAGES[reason]);
    this.members = { reason, fingerprint: user };
  }
}

const MESSAGES: Readonly<Record<InviteFault, string>> = {
  unknown: "there is none with this code, so check that all of it was copied",
  used: "another key has used it, and each invite admits one key",
  expired: "it has expired",
};

/** The beginning of a line with an invite. */
export const INVITE = "invite=";

/** A code has no more characters than this. */
const LONGEST_CODE = 128;

/** The hash by which a list names a code. */
export function hashOfCode(code: string): string {
  return createHash("sha256").update(code).digest("hex");
}

/**
 * Returns the invite with a code, if the user may use it. Throws `InviteRefused`.
 *
 * @param uses the user of each used invite, by the invite's hash
 * @param time milliseconds of Unix time
 */
export function openInvite(
  invites: Iterable<Invite>,
  uses: ReadonlyMap<string, Fingerprint>,
  code: string,
  user: Fingerprint,
  time: number,
): Invite {
  const hash = code.length <= LONGEST_CODE ? hashOfCode(code) : "";
  for (const invite of invites) {
    if (invite.hash !== hash) continue;
    const first = uses.get(hash);
    if (first !== undefined && first !== user) throw new InviteRefused(user, "used");
    if (first === undefined && time >= invite.expires) throw new InviteRefused(user, "expired");
    return invite;
  }
  throw new InviteRefused(user, "unknown");
}

/** The invite of a line that begins with `invite=`, without its comment. Throws `InvalidAllowList`. */
export function parseInvite(entry: string): Invite {
  const [first = "", ...words] = entry.split(/[ \t]+/);
  const hash = first.slice(INVITE.length);
  if (!/^[0-9a-f]{64}$/.test(hash)) {
    throw new InvalidAllowList("invite= takes the SHA-256 of a code in 64 hexadecimal digits");
  }
  let expires: number | undefined;
  let limits: UserLimits = {};
  for (const word of words) {
    const limit = limitOf(word);
    if (limit !== undefined) limits = { ...limits, ...limit };
    else if (word.startsWith("expires=")) expires = timeOf(word.slice("expires=".length));
    else
      throw new InvalidAllowList("an invite has expires=, quota= and clients=, and nothing else");
  }
  if (expires === undefined) throw new InvalidAllowList("an invite needs expires=");
  return { hash, expires, limits };
}

function timeOf(text: string): number {
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new InvalidAllowList("expires= takes a time such as 2026-12-31T12:00:00Z");
}
