import { readFileSync, statSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import type { Fingerprint } from "../oplog/names.ts";
import {
  type AllowList,
  type ListContent,
  parseAllowList,
  UserNotAllowed,
  usersOf,
} from "../sync/allow-list.ts";
import { hashOfCode, type Invite, InviteRefused, openInvite } from "../sync/invites.ts";
import { InvalidAllowList, type UserLimits } from "../sync/user-limits.ts";
import { settledStamp, stampOf } from "./file-stamp.ts";
import { type GuestStorage, Guests } from "./guests.ts";
import { InviteFolder } from "./invite-folder.ts";

export interface AllowListFileOptions {
  readonly path: string;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Milliseconds of Unix time: invites expire by it. */
  readonly time: () => number;
  /** Called once for each change of the file that could not be taken over. */
  readonly onFault: (error: InvalidAllowList) => void;
  /** Called once for each reason why invites cannot be used, or guests not be read. */
  readonly onInviteFault: (reason: string) => void;
  /** Called with each user who enters the list by an invite on this server. */
  readonly onEntered?: (user: Fingerprint) => void;
  readonly guests: GuestStorage;
  /** Called with the list when it was read again. */
  readonly onRead?: (users: ReadonlyMap<Fingerprint, UserLimits>) => void;
}

/** How often the file is checked for a change, in milliseconds. */
const CHECK_EVERY = 1000;

/**
 * The list of users in the file that `USERS` names. A question checks the file first if the last
 * check was a second ago, so a change takes effect within a second, even after an idle hour. While
 * the file is missing or wrong, the last good list stays in force. Before a user is refused, the uses
 * of invites and the guests are read from their folder: another server may have just admitted the user.
 */
export class AllowListFile implements AllowList {
  readonly #options: AllowListFileOptions;
  readonly #folder: InviteFolder;
  readonly #guests: Guests;
  /** What the file has. */
  #content: ListContent = { users: [], invites: [] };
  /** The users that the file names, and those who have used one of its invites. */
  #users: ReadonlyMap<Fingerprint, UserLimits> = new Map();
  /** What the file looked like when it was read; `undefined` when it has to be read again. */
  #stamp: string | undefined;
  #checkedAt: number;
  /** The check under way. */
  #check: Promise<void> | undefined;
  #fault: string | undefined;
  #inviteFault: string | undefined;

  /** Reads the file. Throws `InvalidAllowList`, which names every line that is wrong. */
  constructor(options: AllowListFileOptions) {
    const { path, now } = options;
    this.#options = options;
    this.#folder = new InviteFolder(path);
    this.#guests = new Guests(this.#folder, {
      time: options.time,
      users: () => this.#users,
      usersNow: () => this.#usersNow(),
      stored: options.guests,
    });
    this.#checkedAt = now();
    try {
      this.#stamp = settledStamp(statSync(path, { bigint: true }));
      this.#take(parseAllowList(readFileSync(path, "utf8")));
    } catch (error) {
      throw faultOf(error, path);
    }
    this.#prepare();
  }

  has(user: Fingerprint): boolean | Promise<boolean> {
    const now = this.#options.now();
    if (now - this.#checkedAt >= CHECK_EVERY) {
      this.#checkedAt = now;
      this.#check ??= this.#readChange().finally(() => {
        this.#check = undefined;
      });
    }
    return this.#check === undefined ? this.#isIn(user) : this.#check.then(() => this.#isIn(user));
  }

  limitsOf(user: Fingerprint): UserLimits | undefined {
    return this.#users.get(user) ?? this.#guests.limitsOf(user);
  }

  async inviteFor(user: Fingerprint, code: string): Promise<Invite> {
    const hash = hashOfCode(code);
    // One that was made just now may be sent before the next check.
    if (!this.#content.invites.some(({ invite }) => invite.hash === hash)) await this.#readChange();
    const invites = this.#content.invites.map(({ invite }) => invite);
    return openInvite(invites, this.#folder.users, code, user, this.#options.time());
  }

  async enter(user: Fingerprint, { hash }: Invite): Promise<void> {
    const first = await this.#folder.claim(hash, user);
    this.#take(this.#content);
    if (first !== user) throw new InviteRefused(user, "used");
    this.#options.onEntered?.(user);
  }

  async letIn(guest: Fingerprint, host: Fingerprint): Promise<void> {
    // A key that another server has just admitted is a user's.
    await this.#readChange();
    await this.#readFolder();
    if (!this.#users.has(host)) throw new UserNotAllowed(host);
    if (!this.#users.has(guest)) await this.#guests.letIn(guest, host);
  }

  #isIn(user: Fingerprint): boolean | Promise<boolean> {
    return this.#accepts(user) || this.#readFolder().then(() => this.#accepts(user));
  }

  #accepts(user: Fingerprint): boolean {
    return this.#users.has(user) || this.#guests.has(user);
  }

  #take(content: ListContent): void {
    this.#content = content;
    this.#users = usersOf(content, this.#folder.users);
    this.#guests.forgetUsers().catch((error: unknown) => this.#report(error));
  }

  /** The users as they are now. Rejects where the list, or a use of an invite, cannot be read. */
  async #usersNow(): Promise<ReadonlyMap<Fingerprint, UserLimits>> {
    await this.#readChange();
    if (this.#fault !== undefined) throw new InvalidAllowList(this.#fault);
    const before = this.#folder.users.size;
    await this.#folder.read();
    if (this.#folder.users.size > before) this.#take(this.#content);
    return this.#users;
  }

  /** What is known holds where the folder cannot be read. */
  async #readFolder(): Promise<void> {
    const before = this.#folder.users.size;
    try {
      const [, faults] = await Promise.all([this.#folder.read(), this.#guests.read()]);
      if (faults[0] !== undefined) throw faults[0];
      this.#inviteFault = undefined;
    } catch (error) {
      this.#report(error);
    }
    if (this.#folder.users.size > before) this.#take(this.#content);
  }

  /** Reports early, before a client sends a code, that invites cannot be used. */
  #prepare(): void {
    if (this.#content.invites.length === 0) return;
    try {
      this.#folder.prepare();
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    const fault = error instanceof Error ? error.message : String(error);
    if (fault !== this.#inviteFault) this.#options.onInviteFault(fault);
    this.#inviteFault = fault;
  }

  async #readChange(): Promise<void> {
    const { path, onFault, onRead } = this.#options;
    try {
      const stats = await stat(path, { bigint: true });
      if (this.#stamp !== undefined && stampOf(stats) === this.#stamp) return;
      const stamp = settledStamp(stats);
      const text = await readFile(path, "utf8");
      this.#stamp = stamp;
      this.#take(parseAllowList(text));
      this.#fault = undefined;
      this.#prepare();
      onRead?.(this.#users);
    } catch (error) {
      const fault = faultOf(error, path);
      // Once for each change: the file is checked every second.
      if (fault.message !== this.#fault) onFault(fault);
      this.#fault = fault.message;
    }
  }
}

/** The fault to report. Throws any error that neither the list nor the system has caused. */
function faultOf(error: unknown, path: string): InvalidAllowList {
  if (error instanceof InvalidAllowList) {
    return new InvalidAllowList(`USERS=${path}\n${error.message}`);
  }
  const isOfSystem = error instanceof Error && "code" in error && "syscall" in error;
  if (!isOfSystem) throw error;
  return new InvalidAllowList(`could not read USERS=${path}: ${error.message}`, { cause: error });
}
