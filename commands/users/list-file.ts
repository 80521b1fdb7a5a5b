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
import { InvalidAllowList, listedUsers, type UserLimits } from "../../sync/allow-list.ts";

export interface Entry {
  readonly user: Fingerprint;
  readonly limits: UserLimits;
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
    listedUsers(this.#text);
  }

  get entries(): Entry[] {
    return listedUsers(this.#text).map(({ user, limits, end }) => ({
      ...{ user, limits },
      note: noteIn(this.#lines[end - 1] ?? ""),
    }));
  }

  /** Adds a user, or replaces what the list says of it. */
  set({ user, limits, note }: Entry): void {
    const words = [
      user,
      ...(limits.bytes === undefined ? [] : [`quota=${sizeOf(limits.bytes)}`]),
      ...(limits.clients === undefined ? [] : [`clients=${limits.clients}`]),
      ...(note === "" ? [] : [`# ${note}`]),
    ];
    const at =
      this.remove(user) ??
      (this.#lines.at(-1) === "" ? this.#lines.length - 1 : this.#lines.length);
    this.#lines.splice(at, 0, words.join(" "));
    if (this.#lines.at(-1) !== "") this.#lines.push("");
  }

  /** Removes a user. The place where it stood first, from 0 on; `undefined` where it was not listed. */
  remove(user: Fingerprint): number | undefined {
    const found = listedUsers(this.#text).filter((listed) => listed.user === user);
    for (const { line, end } of found.toReversed()) this.#lines.splice(line - 1, end - line + 1);
    const [first] = found;
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

const UNITS = ["GiB", "MiB", "KiB"] as const;

/** A size as the list has it. */
export function sizeOf(bytes: number): string {
  for (const [i, unit] of UNITS.entries()) {
    const size = bytes / 1024 ** (UNITS.length - i);
    if (size >= 1 && Number.isInteger(size)) return `${size}${unit}`;
  }
  return String(bytes);
}
