/** The server under test: by whom requests are sent to it, and what it may hold afterwards. */
import type { Bytes } from "../../protocol/bytes.ts";
import { Account, newClient, type Recipient } from "./account.ts";
import type { Answer } from "./answer.ts";
import { Broken, CannotTry } from "./checks.ts";
import { type Fetch, Sender, type Sending } from "./sending.ts";

export interface TestedServerOptions {
  /** Where sync requests go. */
  readonly url: URL;
  readonly newPrivateKey: () => Promise<Bytes>;
  /** Codes by which its users enter the list of a server that has one, each good for one of them. */
  readonly invites?: readonly string[] | undefined;
  readonly fetch?: Fetch;
  /** No case begins once it is aborted, and the one that is under way ends. */
  readonly signal?: AbortSignal;
}

/** In milliseconds. No case has the server wait for longer than half of it. */
const TIMEOUT_MS = 120_000;
const PATIENCE_MS = 60_000;
/** The same for the erasures at the end, which must not delay a stop for long. */
const ERASURE = { timeout: 10_000, patience: 10_000 };

/** Of whom nothing is left on the server but tombstones, and of whom something may be. */
export interface Erasure {
  readonly erased: number;
  /** Fingerprints. */
  readonly left: readonly string[];
}

export class TestedServer implements Recipient {
  readonly url: URL;
  readonly signal: AbortSignal;
  /** Whether it answers unsigned requests of users who have never signed one. */
  acceptsUnsigned = true;
  /** Whether it has a list of its users, which those of the suite have to enter. */
  hasList = false;
  readonly #options: TestedServerOptions;
  readonly #invites: string[];
  readonly #accounts: Account[] = [];
  #sender: Sender;
  #shared: Promise<Account> | undefined;
  /** Made while the case before is tried. */
  #nextKey: Promise<Bytes> | undefined;

  constructor(options: TestedServerOptions) {
    const { url, fetch, invites = [], signal = new AbortController().signal } = options;
    this.#options = options;
    this.#invites = [...invites];
    this.url = url;
    this.signal = signal;
    this.#sender = new Sender({ url, fetch, signal, timeout: TIMEOUT_MS, patience: PATIENCE_MS });
  }

  /** A user of whom nothing is stored, and who is on the list of a server that has one. */
  async newUser(): Promise<Account> {
    const account = await this.newOutsider();
    if (this.hasList) (await this.enter(account)).accepted("a request with an invite");
    return account;
  }

  /** A user who has never asked the server for anything. */
  async newOutsider(): Promise<Account> {
    const { newPrivateKey } = this.#options;
    const key = await (this.#nextKey ?? newPrivateKey());
    this.#nextKey = newPrivateKey();
    // It is reported where the key is needed.
    this.#nextKey.catch(() => undefined);
    const account = new Account(this, key);
    this.#accounts.push(account);
    return account;
  }

  /** Whether there are codes of invites to enter a list by. */
  get hasInvites(): boolean {
    return this.#invites.length > 0;
  }

  /** A code that the suite has not used. Throws `CannotTry` where there is none left. */
  nextInvite(): string {
    const code = this.#invites.shift();
    if (code === undefined) throw new CannotTry("no invite is left to enter the list of users by");
    return code;
  }

  /**
   * Has a user enter the list by the next invite that was not used before and has not expired. Resolves
   * with the answer, which is no refusal of an invite. Throws `CannotTry` where there is none left.
   */
  async enter(account: Account): Promise<Answer> {
    for (;;) {
      const answer = await account.post({ client_id: newClient() }, { invite: this.nextInvite() });
      if (!(answer.status === 403 && answer.isProblem("invite-refused"))) return answer;
    }
  }

  /** Throws `CannotTry` where the server has no list of users. */
  needList(): void {
    if (!this.hasList) throw new CannotTry("the server has no list of users");
  }

  /** One user for all cases that do not depend on what else is stored of the user. */
  sharedUser(): Promise<Account> {
    this.#shared ??= this.newUser();
    return this.#shared;
  }

  /** Throws `CannotTry` where the server takes no unsigned requests. */
  needUnsigned(): void {
    if (!this.acceptsUnsigned) throw new CannotTry("the server takes no unsigned requests");
  }

  send(sending: Sending): Promise<Answer> {
    return this.#sender.send(sending);
  }

  /** Sends a request, as `Sender.sendOnce` does. */
  sendOnce(sending: Sending): Promise<Answer> {
    return this.#sender.sendOnce(sending);
  }

  /** Erases the users of whom something may be stored, until the server does not answer. */
  async eraseUsers(): Promise<Erasure> {
    const { url, fetch } = this.#options;
    this.#sender = new Sender({ url, fetch, ...ERASURE });
    const stored = this.#accounts.filter(({ isStored }) => isStored);
    try {
      for (const account of stored) await account.erase();
    } catch (error) {
      if (!(error instanceof Broken) && !(error instanceof CannotTry)) throw error;
    }
    const left = stored.filter(({ isStored }) => isStored);
    return {
      erased: stored.length - left.length,
      left: left.map(({ fingerprint }) => fingerprint),
    };
  }
}
