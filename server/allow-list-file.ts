import { type BigIntStats, readFileSync, statSync } from "node:fs";
import { type Fingerprint, isFingerprint } from "../oplog/names.ts";
import { fingerprintOf, InvalidPublicKey } from "../sync/public-key.ts";

/** The file of users cannot be read, or lines in it are wrong. The message names them by number. */
export class InvalidAllowList extends Error {
  override name = "InvalidAllowList";
}

/** Refused: the user is not in the file of users. */
export class UserNotAllowed extends Error {
  override name = "UserNotAllowed";
  readonly code = "user-not-allowed";
}

export interface UsersOptions {
  readonly path: string;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Told once of each change that could not be taken over. */
  readonly onFault: (error: InvalidAllowList) => void;
}

/** How long a look at the file is good for, in milliseconds. */
const LOOK_EVERY = 1000;

/** A file this young may change again without showing it in its times. In milliseconds. */
const SETTLED_AFTER = 2000;

const BEGIN = "-----BEGIN";
const END = "-----END";

/**
 * Who may be a user, as a file says: a fingerprint or a public key on each line, `#` before a
 * comment; a key in PEM may take several lines. A change is seen within a second of the next
 * request. While the file is missing or wrong, the last good list holds.
 */
export class AllowListFile {
  readonly #options: UsersOptions;
  #allowed: ReadonlySet<Fingerprint>;
  #lookedAt: number;
  /** What the file looked like when it was read; `undefined` when it has to be read again. */
  #seen: string | undefined;
  #fault: string | undefined;

  /** Reads the file. Throws `InvalidAllowList` with every line that is wrong. */
  constructor(options: UsersOptions) {
    this.#options = options;
    this.#lookedAt = options.now();
    const { stamp, text } = readUsers(options.path);
    this.#allowed = parseUsers(text, options.path);
    this.#seen = stamp;
  }

  /** Throws `UserNotAllowed`. */
  check(user: Fingerprint): void {
    const now = this.#options.now();
    if (now - this.#lookedAt >= LOOK_EVERY) {
      this.#lookedAt = now;
      this.#look();
    }
    if (!this.#allowed.has(user)) throw new UserNotAllowed("the user is not in the file of users");
  }

  #look(): void {
    const { path, onFault } = this.#options;
    try {
      if (this.#seen !== undefined && stampOf(statUsers(path)) === this.#seen) return;
      const { stamp, text } = readUsers(path);
      this.#seen = stamp;
      this.#allowed = parseUsers(text, path);
      this.#fault = undefined;
    } catch (error) {
      if (!(error instanceof InvalidAllowList)) throw error;
      // Once for each change: the file is looked at every second.
      if (error.message !== this.#fault) onFault(error);
      this.#fault = error.message;
    }
  }
}

function statUsers(path: string): BigIntStats {
  return reading(path, () => statSync(path, { bigint: true }));
}

/** The file's text, and what it looked like before it was read. */
function readUsers(path: string): { stamp: string | undefined; text: string } {
  const stats = statUsers(path);
  const settled = Date.now() - Number(stats.mtimeMs) > SETTLED_AFTER;
  const text = reading(path, () => readFileSync(path, "utf8"));
  return { stamp: settled ? stampOf(stats) : undefined, text };
}

/** Another file, another length or another time is a change; one put in its place by rename too. */
function stampOf({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}

function reading<Result>(path: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InvalidAllowList(`could not read USERS=${path}: ${reason}`, { cause: error });
  }
}

/** The fingerprints in the text of a file of users. Throws `InvalidAllowList`. */
function parseUsers(text: string, path: string): ReadonlySet<Fingerprint> {
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
  if (faults.length > 0) throw new InvalidAllowList(`USERS=${path}\n${faults.join("\n")}`);
  return users;
}

/** The entries and the lines they begin on. What PEM spreads over several lines is one entry. */
function* entriesOf(text: string): Generator<{ entry: string; line: number }> {
  let pem: { entry: string; line: number } | undefined;
  for (const [i, whole] of text.split("\n").entries()) {
    // With the white space goes a byte order mark.
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
  // 43 characters have two bits to spare: only one spelling is a fingerprint.
  const same = Buffer.from(entry, "base64url").toString("base64url") === entry;
  return isFingerprint(entry) && same ? entry : fingerprintOf(entry);
}
