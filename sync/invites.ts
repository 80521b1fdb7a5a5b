/** Invites: codes that let a user who is not on the list enter it, once each. */
import { createHash } from "node:crypto";
import type { Fingerprint } from "../oplog/names.ts";
import { InvalidAllowList, limitOf, type UserLimits } from "./user-limits.ts";

/** An invite of a list. The code itself is nowhere: whoever reads the list cannot use it. */
export interface Invite {
  /** The SHA-256 of the code, in hexadecimal digits. */
  readonly hash: string;
  /** Until when the code may be used for the first time, in milliseconds of Unix time. */
  readonly expires: number;
  /** What the user who has used it may store. */
  readonly limits: UserLimits;
}

/** Why a code does not let a user in: no invite of the list has it, another user has used it, or it is too late. */
export const INVITE_FAULTS = ["unknown", "used", "expired"] as const;
export type InviteFault = (typeof INVITE_FAULTS)[number];

/** Refused: the code of the request does not let its user in. */
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
  used: "another key has used it, and each is good for one",
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
 * The invite with a code, which a user may use. Throws `InviteRefused`.
 *
 * @param uses who has used which invite, by its hash
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
