/** Which users a server accepts, where it does not accept everybody. */
import { type Fingerprint, isFingerprint } from "../oplog/names.ts";
import { fingerprintOf, InvalidPublicKey } from "./public-key.ts";

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
  has(user: Fingerprint): boolean | Promise<boolean>;
}

/** Lines of a list that are wrong. The message has a line for each, with its number. */
export class InvalidAllowList extends Error {
  override name = "InvalidAllowList";
}

const BEGIN = "-----BEGIN";
const END = "-----END";

/**
 * The users on a list: a fingerprint or a public key on each line, `#` before a comment; a key in
 * PEM may take several lines. Throws `InvalidAllowList`.
 */
export function parseAllowList(text: string): ReadonlySet<Fingerprint> {
  const users = new Set<Fingerprint>();
  const faults: string[] = [];
  for (const { entry, line } of entriesOf(text)) {
    try {
      users.add(userOf(entry));
    } catch (error) {
      if (!(error instanceof InvalidPublicKey)) throw error;
      faults.push(`line ${line}: neither a fingerprint nor a public key: ${error.message}`);
    }
  }
  if (faults.length > 0) throw new InvalidAllowList(faults.join("\n"));
  return users;
}

/** The entries and the lines they begin on. What PEM spreads over several lines is one entry. */
function* entriesOf(text: string): Generator<{ entry: string; line: number }> {
  let pem: { entry: string; line: number } | undefined;
  for (const [i, whole] of text.split("\n").entries()) {
    // A list may have many more empty lines than users.
    if (whole === "" && pem === undefined) continue;
    // `trim` also removes a byte order mark.
    const entry = whole.replace(/#.*/, "").trim();
    if (pem !== undefined) pem.entry += `\n${entry}`;
    else if (entry.startsWith(BEGIN)) pem = { entry, line: i + 1 };
    else if (entry !== "") yield { entry, line: i + 1 };
    if (pem === undefined || !entry.includes(END)) continue;
    yield pem;
    pem = undefined;
  }
  if (pem !== undefined) yield pem;
}

function userOf(entry: string): Fingerprint {
  if (!isFingerprint(entry)) return fingerprintOf(entry);
  // 43 characters have two bits to spare: only one spelling is a fingerprint.
  const canonical = Buffer.from(entry, "base64url").toString("base64url") === entry;
  return canonical ? entry : fingerprintOf(entry);
}
