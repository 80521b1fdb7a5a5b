import { type BrowserDatabase, result } from "../browser-database.ts";
import type { Identity } from "../types.ts";
import { IndexedDbLog, type TabSlot } from "./indexeddb-log.ts";
import { type IndexedDbDamage, isOwn, repair } from "./indexeddb-repair.ts";
import { type OwnRow, openTables, rowsOf, TABLES } from "./indexeddb-tables.ts";
import type { Store } from "./store.ts";
import { takeWebLock, underWebLock } from "./web-locks.ts";

/** What an app may want to know of its store. */
export interface IndexedDbOptions {
  /**
   * Called when the browser has deleted the database, or closed it and does not open it again. The
   * client cannot go on: close it, and ask the user to load the page again.
   */
  readonly onLost?: (error: Error) => void;
  /**
   * Called when a slot was damaged: it is kept under another name, and what can be read of it is
   * taken over. Operations of other installations are delivered again. By default, warns on the
   * console.
   */
  readonly onDamaged?: (damage: IndexedDbDamage) => void;
}

/** What all tabs of a user have in common. */
interface Scope {
  readonly name: string;
  readonly database: BrowserDatabase;
  readonly fingerprint: string;
  /** What the names of Web Locks begin with. */
  readonly locks: string;
  readonly onDamaged: (damage: IndexedDbDamage) => void;
}

/**
 * Stores an installation in a browser. All tabs of a user share one log.
 *
 * What was delivered is kept for each tab: it has a slot, locked by a Web Lock, which the browser
 * releases with the tab. The first tab gets slot 0, also after a reload, a second one at the same time
 * slot 1. Before tabs shared a log, each slot had one; that of slot 0 is the one that they share.
 */
export class IndexedDbStore extends IndexedDbLog {
  readonly #scope: Scope;
  /** The slot of this tab: 0 for the first. An app may store its own data by it. */
  readonly slot: number;
  readonly #release: () => void;

  private constructor(scope: Scope, slot: number, release: () => void) {
    const { database, fingerprint, locks } = scope;
    const tab: TabSlot = { slot: `${fingerprint} ${slot}`, isFirst: slot === 0, locks };
    super(database, `${fingerprint} 0`, tab);
    this.#scope = scope;
    this.slot = slot;
    this.#release = release;
  }

  /**
   * Opens the log of a user, in the first slot that no other tab has. Rejects with the error of the
   * database.
   *
   * @param name of the database and the locks, such as the app's name; several users may share it
   */
  static async open(
    name: string,
    { fingerprint }: Pick<Identity, "fingerprint">,
    { onLost, onDamaged = warn }: IndexedDbOptions = {},
  ): Promise<IndexedDbStore> {
    const locks = `${name} ${fingerprint}`;
    const database = await openTables(name, onLost);
    const scope = { name, database, fingerprint, locks, onDamaged };
    try {
      // One after the other, because a log is not repaired while another tab has it open.
      return await underWebLock(`${locks} opens`, async () => {
        const leave = await repairAlone(scope);
        for (let slot = 0; ; slot++) {
          const release = await takeWebLock(`${locks} ${slot}`, { ifAvailable: true });
          if (release === undefined) continue;
          return new IndexedDbStore(scope, slot, () => {
            release();
            leave();
          });
        }
      });
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** The logs of tabs that closed before tabs shared one, and that hold something to send. */
  override async abandoned(): Promise<Store[]> {
    const { database, fingerprint } = this.#scope;
    const all = IDBKeyRange.bound([`${fingerprint} `], [`${fingerprint} \uffff`]);
    const slots = await database.transaction(TABLES, "readonly", async (table) => {
      const unsent = new Set<string>();
      for (const row of await result<OwnRow[]>(table("own").getAll(all))) {
        const isUnsent = !isOwn(row) || row.acknowledged < row.length;
        if (isUnsent || (await result(table("drafts").count(rowsOf(row.client)))) > 0) {
          unsent.add(row.slot);
        }
      }
      unsent.delete(`${fingerprint} 0`);
      return unsent;
    });
    const logs: Store[] = [];
    try {
      for (const slot of slots) {
        const log = await this.#openLeft(slot);
        if (log !== undefined) logs.push(log);
      }
      return logs;
    } catch (error) {
      for (const log of logs) await log.close();
      throw error;
    }
  }

  override async close(): Promise<void> {
    await super.close();
    this.#release();
  }

  /** `undefined` for a log that another tab has open. */
  async #openLeft(slot: string): Promise<Store | undefined> {
    const { name, locks, onDamaged } = this.#scope;
    const release = await takeWebLock(`${locks} log ${slot}`, { ifAvailable: true });
    if (release === undefined) return undefined;
    let database: BrowserDatabase | undefined;
    try {
      database = await openTables(name);
      const damage = await repair(database, slot);
      if (damage !== undefined) onDamaged(damage);
      return new LeftLog(database, slot, release);
    } catch (error) {
      database?.close();
      release();
      throw error;
    }
  }
}

/** A log that only this tab has open. */
class LeftLog extends IndexedDbLog {
  readonly #release: () => void;

  constructor(database: BrowserDatabase, slot: string, release: () => void) {
    super(database, slot);
    this.#release = release;
  }

  override async close(): Promise<void> {
    await super.close();
    this.#release();
  }
}

/** Repairs the log if no other tab has it open. Returns a function that lets others do so again. */
async function repairAlone(scope: Scope): Promise<() => void> {
  const { database, fingerprint, locks, onDamaged } = scope;
  const name = `${locks} open`;
  const free = await takeWebLock(name, { ifAvailable: true });
  try {
    const damage = free && (await repair(database, `${fingerprint} 0`));
    if (damage !== undefined) onDamaged(damage);
  } finally {
    free?.();
  }
  return (await takeWebLock(name, { mode: "shared" })) ?? (() => undefined);
}

function warn({ reason, slot, operations }: IndexedDbDamage): void {
  console.warn(
    `What this browser stores is damaged: ${reason}. It is kept as "${slot}"; the operations that can ` +
      `be read of it (${operations}) are sent again.`,
  );
}
