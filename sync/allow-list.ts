/** Which users a server accepts, where it does not accept everybody. */
import { type Fingerprint, isFingerprint } from "../oplog/names.ts";
import { fingerprintOf, InvalidPublicKey } from "./public-key.ts";
import { parseSize } from "./size.ts";

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

/** What a user may store, where the list says it; the settings say the rest. */
export interface UserLimits {
  /** In place of `QUOTA_BYTES`; 0 for any number. */
  readonly bytes?: number;
  /** In place of `QUOTA_CLIENTS`. */
  readonly clients?: number;
}

/** A list of users. It may change while the server runs. */
export interface AllowList {
  /** By the last look at the list. */
  limitsOf(user: Fingerprint): UserLimits | undefined;
  has(user: Fingerprint): boolean | Promise<boolean>;
}

/** Lines of a list that are wrong. The message has a line for each, with its number. */
export class InvalidAllowList extends Error {
  override name = "InvalidAllowList";
}

const BEGIN = "-----BEGIN";
const END = "-----END";

/** How many limits there are. */
const LIMITS = 2;

/** A sync status may name at least so many clients, whatever `QUOTA_CLIENTS` is, and twice a quota. */
const MOST_CLIENTS = 5000;

/** A user on a list. */
export interface ListedUser {
  readonly user: Fingerprint;
  readonly limits: UserLimits;
  /** The first and the last line that name it, from 1 on. */
  readonly line: number;
  readonly end: number;
}

/**
 * The users on a list, and what each may store: a fingerprint or a public key on each line, then
 * `quota=` and `clients=` where they differ from the settings, `#` before a comment. A key in PEM may
 * take several lines, and has them behind its last one. Throws `InvalidAllowList`.
 */
export function parseAllowList(text: string): ReadonlyMap<Fingerprint, UserLimits> {
  return new Map(listedUsers(text).map(({ user, limits }) => [user, limits]));
}

/** As `parseAllowList`, with the place of each. */
export function listedUsers(text: string): ListedUser[] {
  const users: ListedUser[] = [];
  const faults: string[] = [];
  for (const { entry, line, end } of entriesOf(text)) {
    try {
      const { key, limits } = partsOf(entry);
      users.push({ user: userOf(key), limits, line, end });
    } catch (error) {
      if (error instanceof InvalidAllowList) faults.push(`line ${line}: ${error.message}`);
      else if (error instanceof InvalidPublicKey) {
        faults.push(`line ${line}: neither a fingerprint nor a public key: ${error.message}`);
      } else throw error;
    }
  }
  if (faults.length > 0) throw new InvalidAllowList(faults.join("\n"));
  return users;
}

/** The entries and the lines they begin on. What PEM spreads over several lines is one entry. */
function* entriesOf(text: string): Generator<{ entry: string; line: number; end: number }> {
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

/** `undefined` for a word that names no limit. */
function limitOf(word: string): UserLimits | undefined {
  const [name, value = ""] = word.split("=", 2);
  if (name === "quota") {
    const bytes = parseSize(value);
    if (Number.isSafeInteger(bytes)) return { bytes };
    throw new InvalidAllowList("quota= takes a size such as 500MiB or 5GiB, or 0 for no limit");
  }
  if (name !== "clients") return undefined;
  const clients = /^[1-9]\d{0,3}$/.test(value) ? Number(value) : Number.NaN;
  if (clients <= MOST_CLIENTS) return { clients };
  throw new InvalidAllowList(`clients= takes a whole number from 1 to ${MOST_CLIENTS}`);
}

/** The user of a fingerprint or a public key. Throws `InvalidPublicKey`. */
export function userOf(entry: string): Fingerprint {
  if (!isFingerprint(entry)) return fingerprintOf(entry);
  // 43 characters have two bits to spare: only one spelling is a fingerprint.
  const canonical = Buffer.from(entry, "base64url").toString("base64url") === entry;
  return canonical ? entry : fingerprintOf(entry);
}
