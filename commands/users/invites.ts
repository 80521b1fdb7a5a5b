/** Invites of the list of users: new ones, and what has become of each. */
import { randomBytes } from "node:crypto";
import type { Fingerprint } from "../../oplog/names.ts";
import { parseAge } from "../../server/config-values.ts";
import { hashOfCode } from "../../sync/invites.ts";
import type { UserLimits } from "../../sync/user-limits.ts";
import { WrongArgument } from "../command.ts";
import { type InviteEntry, limitWords, noteWords, timeText } from "./list-file.ts";

/** The random bytes of a code: enough that it cannot be guessed. */
const CODE_BYTES = 16;

const [LEAST_AGE, LONGEST_AGE] = [60_000, 366 * 86_400_000];

/**
 * A new invite and its code, which is nowhere else.
 *
 * @param age how long it may be used, such as 7d
 * @param now milliseconds of Unix time
 */
export function newInvite(
  age: string,
  limits: UserLimits,
  note: string,
  now: number,
): { readonly code: string; readonly entry: InviteEntry } {
  const milliseconds = parseAge(age);
  if (!(milliseconds >= LEAST_AGE && milliseconds <= LONGEST_AGE)) {
    throw new WrongArgument("--expires takes a time from 1m to 366d, such as 7d.");
  }
  // Hexadecimal digits are hard to misread, and need no quotes in a shell.
  const code = randomBytes(CODE_BYTES).toString("hex");
  const invite = { hash: hashOfCode(code), expires: now + milliseconds, limits };
  return { code, entry: { invite, note } };
}

/** An invite of the list and what has become of it. */
export interface InviteState extends InviteEntry {
  readonly state: "open" | "used" | "expired";
  readonly user: Fingerprint | undefined;
}

/**
 * What has become of invites.
 *
 * @param uses the user of each used invite, by the invite's hash
 * @param now milliseconds of Unix time
 */
export function statesOf(
  entries: readonly InviteEntry[],
  uses: ReadonlyMap<string, Fingerprint>,
  now: number,
): InviteState[] {
  return entries.map((entry) => {
    const user = uses.get(entry.invite.hash);
    const state = now < entry.invite.expires ? "open" : "expired";
    return { ...entry, user, state: user === undefined ? state : "used" };
  });
}

/** How many characters of its hash are shown as the name of an invite. */
const NAME_LENGTH = 12;

/** An invite as a person names it: `invite=` and how its hash begins. */
export function inviteName(hash: string): string {
  return `invite=${hash.slice(0, NAME_LENGTH)}`;
}

export function inviteJson({ invite, state, user, note }: InviteState): object {
  const { hash, expires, limits } = invite;
  return {
    ...{ invite: hash, state, user: user ?? null, expires: timeText(expires) },
    ...{ quota: limits.bytes ?? null, clients: limits.clients ?? null, note },
  };
}

export function inviteText({ invite, state, user, note }: InviteState): string {
  const until = `${state === "open" ? "open until" : "expired"} ${timeText(invite.expires)}`;
  return [
    ...[inviteName(invite.hash), user === undefined ? until : `used by ${user}`],
    ...[...limitWords(invite.limits), ...noteWords(note)],
  ].join(" ");
}
