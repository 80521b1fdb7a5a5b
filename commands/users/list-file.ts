/** Reads and changes the file of users, whose other lines and comments stay as they are. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import type { Fingerprint } from "../../oplog/names.ts";
import { type ListContent, parseAllowList } from "../../sync/allow-list.ts";
import type { Invite } from "../../sync/invites.ts";
import { InvalidAllowList, type UserLimits } from "../../sync/user-limits.ts";

export interface Entry {
  readonly user: Fingerprint;
  readonly limits: UserLimits;
  /** The comment behind it; "" for none. */
  readonly note: string;
}

/** An invite of the list. */
export interface InviteEntry {
  readonly invite: Invite;
  /** The comment behind it; "" for none. */
  readonly note: string;
}

/** Readable for the account of the server, which may be another. */
const MODE = 0o644;

export class ListFile {
  readonly #path: string;
  #lines: string[];

  /** A file that is not there yet is an empty list. Throws `InvalidAllowList`. */
  constructor(path: string) {
    this.#path = existsSync(path) ? realpathSync(path) : path;
    const text = guarded("read the list", () =>
      existsSync(path) ? readFileSync(path, "utf8") : "",
    );
    this.#lines = text.split("\n");
    parseAllowList(this.#text);
  }

  get entries(): Entry[] {
    return this.#content.users.map(({ user, limits, end }) => ({
      ...{ user, limits },
      note: noteIn(this.#lines[end - 1] ?? ""),
    }));
  }

  get invites(): InviteEntry[] {
    return this.#content.invites.map(({ invite, end }) => ({
      invite,
      note: noteIn(this.#lines[end - 1] ?? ""),
    }));
  }

  /** Adds a user, or replaces what the list says of it. */
  set({ user, limits, note }: Entry): void {
    this.#insert(this.remove(user), [user, ...limitWords(limits), ...noteWords(note)]);
  }

  /** Adds an invite. */
  add({ invite: { hash, expires, limits }, note }: InviteEntry): void {
    const words = [`invite=${hash}`, `expires=${timeText(expires)}`];
    this.#insert(undefined, [...words, ...limitWords(limits), ...noteWords(note)]);
  }

  /** Adds a line, at its end by default. */
  #insert(place: number | undefined, words: readonly string[]): void {
    const end = this.#lines.at(-1) === "" ? this.#lines.length - 1 : this.#lines.length;
    this.#lines.splice(place ?? end, 0, words.join(" "));
    if (this.#lines.at(-1) !== "") this.#lines.push("");
  }

  /** Removes a user. The place where it stood first, from 0 on; `undefined` where it was not listed. */
  remove(user: Fingerprint): number | undefined {
    return this.#cut(this.#content.users.filter((listed) => listed.user === user));
  }

  /** Removes the invites with these hashes. */
  removeInvites(hashes: ReadonlySet<string>): void {
    this.#cut(this.#content.invites.filter(({ invite }) => hashes.has(invite.hash)));
  }

  /** Removes what stands in some places. The first of them, from 0 on; `undefined` where there is none. */
  #cut(places: readonly { readonly line: number; readonly end: number }[]): number | undefined {
    for (const { line, end } of places.toReversed()) this.#lines.splice(line - 1, end - line + 1);
    const [first] = places;
    return first === undefined ? undefined : first.line - 1;
  }

  /** Moves a new file into the place of the old one: a server never reads half of it. */
  save(): void {
    guarded("store the list", () => this.#save());
  }

  #save(): void {
    const aside = `${this.#path}.${process.pid}.new`;
    const mode = existsSync(this.#path) ? statSync(this.#path).mode & 0o777 : MODE;
    try {
      writeFileSync(aside, this.#text, { mode, flush: true });
      renameSync(aside, this.#path);
    } catch (error) {
      rmSync(aside, { force: true });
      throw error;
    }
    const folder = openSync(dirname(this.#path), "r");
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  }

  get #content(): ListContent {
    return parseAllowList(this.#text);
  }

  get #text(): string {
    return this.#lines.join("\n");
  }
}

function noteIn(line: string): string {
  const at = line.indexOf("#");
  return at === -1 ? "" : line.slice(at + 1).trim();
}

/** Runs a call of the system. Throws `InvalidAllowList`, which says what failed. */
function guarded<Result>(what: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error && "syscall" in error)) throw error;
    throw new InvalidAllowList(`could not ${what}: ${error.message}`, { cause: error });
  }
}

/** The limits of a user as words of the list. */
export function limitWords({ bytes, clients }: UserLimits): string[] {
  return [
    ...(bytes === undefined ? [] : [`quota=${sizeOf(bytes)}`]),
    ...(clients === undefined ? [] : [`clients=${clients}`]),
  ];
}

/** A comment as words of the list. */
export function noteWords(note: string): string[] {
  return note === "" ? [] : [`# ${note}`];
}

/** A time as the list has it. */
export function timeText(time: number): string {
  return new Date(time).toISOString().replace(/\.\d\d\dZ$/, "Z");
}

const UNITS = ["GiB", "MiB", "KiB"] as const;

/** A size as the list has it. */
function sizeOf(bytes: number): string {
  for (const [i, unit] of UNITS.entries()) {
    const size = bytes / 1024 ** (UNITS.length - i);
    if (size >= 1 && Number.isInteger(size)) return `${size}${unit}`;
  }
  return String(bytes);
}
