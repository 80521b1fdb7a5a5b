/** The guests of users on the list, and what becomes of the data that they have stored. */
import { KeyedQueue } from "../oplog/keyed-queue.ts";
import type { Fingerprint } from "../oplog/names.ts";
import { checkHost, GUEST_LIMITS, GUEST_MS, GuestKnown, isCounted } from "../sync/guests.ts";
import type { UserLimits } from "../sync/user-limits.ts";
import { GuestFolder } from "./guest-folder.ts";
import type { InviteFolder } from "./invite-folder.ts";

export interface GuestsOptions {
  /** Milliseconds of Unix time. */
  readonly time: () => number;
  /** The users on the list as it is now: only their guests are accepted. */
  readonly users: () => ReadonlyMap<Fingerprint, UserLimits>;
  /** As `users`, read now. Rejects where the list, or the folder, cannot be read. */
  readonly usersNow: () => Promise<ReadonlyMap<Fingerprint, UserLimits>>;
  readonly stored: GuestStorage;
}

/** What guests have stored. */
export interface GuestStorage {
  /** Whether anything is stored of a key, by storage itself: a listing of a moment ago may lack it. */
  readonly has: (guest: Fingerprint) => Promise<boolean>;
  /** Deletes all of it. */
  readonly clear: (guest: Fingerprint) => Promise<void>;
  /** Called with each guest that this server admits. */
  readonly onLetIn: (guest: Fingerprint, host: Fingerprint) => void;
  /** Called when something could not be deleted; it is tried again when the next guest is admitted. */
  readonly onFailure: (guest: Fingerprint, error: unknown) => void;
}

/**
 * Keys that are accepted for a short time. Whenever one is admitted, what guests of more than an hour ago
 * have stored is deleted, so that a user gets no room by guests.
 */
export class Guests {
  readonly #options: GuestsOptions;
  readonly #folder: GuestFolder;
  readonly #queue = new KeyedQueue();

  constructor(folder: InviteFolder, options: GuestsOptions) {
    this.#folder = new GuestFolder(folder);
    this.#options = options;
  }

  /** By the last look at the folder. */
  has(user: Fingerprint): boolean {
    const { users, time } = this.#options;
    const guest = this.#folder.guests.get(user);
    return guest !== undefined && users().has(guest.host) && guest.until > time();
  }

  /** Those of a guest also where its time has just ended, while a request is answered that came before. */
  limitsOf(user: Fingerprint): UserLimits | undefined {
    return this.#folder.guests.has(user) ? GUEST_LIMITS : undefined;
  }

  /** Looks at the folder, as `GuestFolder.read` does. */
  read(): Promise<readonly Error[]> {
    return this.#folder.read();
  }

  /** Admits a guest. Rejects with `GuestKnown`, `GuestsLimited` and `StorageUnavailable`. */
  letIn(guest: Fingerprint, host: Fingerprint): Promise<void> {
    return this.#queue.run("", async () => {
      const { stored } = this.#options;
      await this.#folder.read();
      const time = this.#options.time();
      const known = this.#folder.guests.get(guest);
      if (known?.host === host && known.until > time) return;
      checkHost(this.#folder.guests.values(), host, time);
      // What a guest has stored is deleted afterwards: it must not be what another user has.
      if (await stored.has(guest)) throw new GuestKnown();
      await this.#folder.add(guest, { host, until: time + GUEST_MS });
      stored.onLetIn(guest, host);
      void this.#queue.run("clearing", () => this.#clear(time));
    });
  }

  /** Forgets guests who are on the list now: what they store is theirs. Rejects with an error of the system. */
  async forgetUsers(): Promise<void> {
    const { users } = this.#options;
    await this.#folder.read();
    for (const guest of this.#folder.guests.keys()) {
      if (users().has(guest)) await this.#folder.remove(guest);
    }
  }

  /** Deletes what guests have left behind that no longer count. */
  async #clear(time: number): Promise<void> {
    const { stored, usersNow } = this.#options;
    for (const [guest, of] of this.#folder.guests) {
      if (isCounted(of, time)) continue;
      try {
        // Another server may have it on its list, or have admitted it by an invite.
        if (!(await usersNow()).has(guest)) await stored.clear(guest);
        await this.#folder.remove(guest);
      } catch (error) {
        stored.onFailure(guest, error);
      }
    }
  }
}
