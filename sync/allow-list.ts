/** Which users a server accepts if it has a list of users. */
import { type Fingerprint, isFingerprint } from "../oplog/names.ts";
import { INVITE, type Invite, parseInvite } from "./invites.ts";
import { fingerprintOf, InvalidPublicKey } from "./public-key.ts";
import { InvalidAllowList, LIMITS, limitOf, type UserLimits } from "./user-limits.ts";

/** Refused: the user is not on the list. */
export class UserNotAllowed extends Error {
  override name = "UserNotAllowed";
  readonly code = "user-not-allowed";
  /** Whole: its owner gives it to the operator, who puts it on the list. */
  readonly members: { readonly fingerprint: Fingerprint };
  constructor(user: Fingerprint) {
    super("the user is not on the list of users");
    this.members = { fingerprint: user };
  }
}

/** A list of users. It may change while the server runs. */
export interface AllowList {
  /** By the last look at the list. */
  limitsOf(user: Fingerprint): UserLimits | undefined;
  has(user: Fingerprint): boolean | Promise<boolean>;
  /**
   * Returns the invite with which a user who is not on the list can enter it. Rejects with
   * `InviteRefused`.
   *
   * @param code what the user sends
   */
  inviteFor(user: Fingerprint, code: string): Promise<Invite>;
  /**
   * Puts a user with an invite on the list, durably. If several users send the same invite, to any
   * number of servers with one list, one of them enters; rejects with `InviteRefused` for all others.
   * Resolves without effect for a user who has entered by the same invite.
   */
  enter(user: Fingerprint, invite: Invite): Promise<void>;
  /**
   * Lets a key in as a guest of a user on the list, durably and for `GUEST_MS`. Without effect for a key
   * that is on the list, or is a guest of this user. Rejects with `UserNotAllowed` where the user is not
   * on the list, with `GuestKnown` and with `GuestsLimited`.
   */
  letIn(guest: Fingerprint, host: Fingerprint): Promise<void>;
}

const BEGIN = "-----BEGIN";
const END = "-----END";

/** Where something stands in a list: its first and its last line, from 1 on. */
interface Place {
  readonly line: number;
  readonly end: number;
}

/** A user on a list. */
export interface ListedUser extends Place {
  readonly user: Fingerprint;
  readonly limits: UserLimits;
}

/** An invite on a list. */
export interface ListedInvite extends Place {
  readonly invite: Invite;
}

/** What a list has, in the order of its lines. */
export interface ListContent {
  readonly users: readonly ListedUser[];
  readonly invites: readonly ListedInvite[];
}

/**
 * The users and the invites on a list: a fingerprint or a public key on each line, then `quota=` and
 * `clients=` where they differ from the settings, `#` before a comment. A key in PEM may take several
 * lines, and has them behind its last one. An invite is a line with `invite=` and `expires=` in place
 * of a user. Throws `InvalidAllowList`.
 */
export function parseAllowList(text: string): ListContent {
  const users: ListedUser[] = [];
  const invites: ListedInvite[] = [];
  const faults: string[] = [];
  for (const { entry, ...place } of entriesOf(text)) {
    try {
      if (entry.startsWith(INVITE)) {
        invites.push({ invite: parseInvite(entry), ...place });
        continue;
      }
      const { key, limits } = partsOf(entry);
      users.push({ user: userOf(key), limits, ...place });
    } catch (error) {
      const { line } = place;
      if (error instanceof InvalidAllowList) faults.push(`line ${line}: ${error.message}`);
      else if (error instanceof InvalidPublicKey) {
        faults.push(`line ${line}: neither a fingerprint nor a public key: ${error.message}`);
      } else throw error;
    }
  }
  if (faults.length > 0) throw new InvalidAllowList(faults.join("\n"));
  return { users, invites };
}

/**
 * The users that a list accepts, and what each may store: those that it names, and those who have used
 * one of its invites. A line that names a user takes precedence over the invite of that user.
 *
 * @param uses the user of each used invite, by the invite's hash
 */
export function usersOf(
  { users, invites }: ListContent,
  uses: ReadonlyMap<string, Fingerprint>,
): ReadonlyMap<Fingerprint, UserLimits> {
  const all = new Map<Fingerprint, UserLimits>();
  for (const { invite } of invites) {
    const user = uses.get(invite.hash);
    if (user !== undefined) all.set(user, invite.limits);
  }
  for (const { user, limits } of users) all.set(user, limits);
  return all;
}

/** The entries and the lines they begin on. What PEM spreads over several lines is one entry. */
function* entriesOf(text: string): Generator<Place & { readonly entry: string }> {
  let pem: { entry: string; line: number } | undefined;
  let last = 0;
  for (const [i, whole] of text.split("\n").entries()) {
    last = i + 1;
    // A list may have many more empty lines than users.
    if (whole === "" && pem === undefined) continue;
    // `trim` also removes a byte order mark.
    const entry = whole.replace(/#.*/, "").trim();
    if (pem !== undefined) pem.entry += `\n${entry}`;
    else if (entry.startsWith(BEGIN)) pem = { entry, line: i + 1 };
    else if (entry !== "") yield { entry, line: i + 1, end: i + 1 };
    if (pem === undefined || !entry.includes(END)) continue;
    yield { ...pem, end: i + 1 };
    pem = undefined;
  }
  if (pem !== undefined) yield { ...pem, end: last };
}

/** The user of an entry, and what follows it. */
function partsOf(entry: string): { readonly key: string; readonly limits: UserLimits } {
  let key = entry;
  let limits: UserLimits = {};
  for (let words = 0; words < LIMITS; words++) {
    const space = Math.max(key.lastIndexOf(" "), key.lastIndexOf("\t"));
    const limit = space === -1 ? undefined : limitOf(key.slice(space + 1));
    if (limit === undefined) break;
    limits = { ...limit, ...limits };
    key = key.slice(0, space).trimEnd();
  }
  return { key, limits };
}

/** The user of a fingerprint or a public key. Throws `InvalidPublicKey`. */
export function userOf(entry: string): Fingerprint {
  if (!isFingerprint(entry)) return fingerprintOf(entry);
  // 43 characters have two bits to spare: only one spelling is a fingerprint.
  const canonical = Buffer.from(entry, "base64url").toString("base64url") === entry;
  return canonical ? entry : fingerprintOf(entry);
}
