import { rename } from "node:fs/promises";
import type { Line } from "../../protocol/types.ts";
import type { Cursor } from "../types.ts";
import { type Change, ChangeLog } from "./folder-changes.ts";
import { DraftFile } from "./folder-drafts.ts";
import { replaceFile, syncFolder } from "./folder-files.ts";
import { LogFile } from "./folder-log.ts";
import { ReceivedFiles } from "./folder-received.ts";
import { keepCopy, readableOwn } from "./folder-repair.ts";
import {
  changesPath,
  clientsWithDrafts,
  draftsPath,
  finishLogs,
  logPath,
  removeLeftovers,
  unfinishedPath,
} from "./folder-slot.ts";
import { readSnapshot, removeSnapshot, writeSnapshot } from "./folder-snapshot.ts";
import {
  type OwnState,
  readState,
  type SnapshotState,
  STATE_FILE,
  type State,
  withAcknowledged,
  withCut,
  withMove,
} from "./folder-state.ts";
import type { Move, OwnClient, Place, Received, StoreState } from "./store.ts";
import { storedSnapshot } from "./stored-values.ts";

/** Once the list of changes has so many bytes, the state is saved and a new list begins. */
const CHANGES_BYTES = 4 * 1024 * 1024;

/** In characters. To sync one more file takes longer than to write fewer twice. */
const LARGE_RUN = 256 * 1024;

/**
 * What a slot of a folder store holds: all that is in its files. Its owner has locked the folder, and
 * has one call run after the other. What they do is said in `Store`.
 */
export class SlotContents {
  readonly #folder: string;
  readonly #logs = new Map<string, LogFile>();
  /** Of the client id in use, once it has had some. */
  #drafts: DraftFile | undefined;
  #own: OwnState = [];
  #received: ReceivedFiles;
  #snapshot: SnapshotState | undefined;
  /** Since the state was saved; `undefined` where there is none of this version yet. */
  #changes: ChangeLog | undefined;
  /** Whether the state on the disk may be another one than this, after a save that failed. */
  #isUnsaved = false;
  /** What is left to be done for a state that is saved. A crash leaves it to `recover`. */
  readonly #left: (() => Promise<unknown>)[] = [];

  constructor(folder: string) {
    this.#folder = folder;
    this.#received = new ReceivedFiles(folder, []);
  }

  /** Reads the files, and finishes or removes what a crash left unfinished. Throws `StoreDamaged`. */
  async recover(): Promise<void> {
    const { own, received, changes, snapshot } = await readState(this.#folder);
    this.#own = own;
    this.#snapshot = snapshot;
    this.#received = new ReceivedFiles(this.#folder, received);
    const log = changes && new ChangeLog(changesPath(this.#folder, changes));
    if (log) await this.#follow(log);
    await this.#received.check();
    await finishLogs(this.#folder, this.#own);
    for (const { client, length, acknowledged } of this.#own) {
      const least = Math.max(acknowledged, length ?? 0);
      this.#logs.set(client, await LogFile.open(logPath(this.#folder, client), least, length));
    }
    const now = { ...this.#state, changes, own: this.#own };
    await removeLeftovers(this.#folder, now);
    for (const client of await clientsWithDrafts(this.#folder)) {
      const path = draftsPath(this.#folder, client);
      this.#drafts = await DraftFile.open(path, this.#log(client).length);
    }
    // Only now: what is not whole must not be saved.
    if (log) this.#changes = log;
  }

  /** Goes on from the saved state to that after the last change. */
  async #follow(log: ChangeLog): Promise<void> {
    const changes = await log.read();
    for (const change of changes) this.#apply(change);
    await this.#received.restore(changes);
  }

  /**
   * Keeps a copy of damaged files, and goes on with what can be read. The slot counts as damaged until
   * its new state is saved. So a crash before has it copied, reported, and repaired again.
   *
   * @param report called with the folder of the copy and the number of operations that can be read
   */
  async repair(report: (folder: string, operations: number) => void): Promise<void> {
    await this.#closeFiles();
    const fresh = crypto.randomUUID();
    const copy = await keepCopy(this.#folder);
    const own = await readableOwn(this.#folder, this.#own, fresh);
    report(
      copy,
      own.reduce((sum, { length = 0 }) => sum + length, 0),
    );
    await (await LogFile.open(logPath(this.#folder, fresh))).close();
    this.#received = new ReceivedFiles(this.#folder, []);
    this.#snapshot = undefined;
    await this.#save(own);
    await this.recover();
  }

  async load(): Promise<StoreState> {
    const own = this.#own.map(({ client, length, ...one }): OwnClient => {
      return { client, length: length ?? this.#log(client).length, ...one };
    });
    const drafts = (await this.#drafts?.read(own.at(-1)?.length ?? 0)) ?? [];
    const received = this.#received.all;
    const cursors = received.map(({ cursor }) => cursor);
    const starts = received.flatMap(({ start }) => start ?? []);
    return {
      own,
      drafts,
      cursors,
      starts,
      ...(this.#snapshot && { snapshot: storedSnapshot(this.#snapshot) }),
    };
  }

  async begin(client: string): Promise<void> {
    this.#logs.set(client, await LogFile.open(logPath(this.#folder, client)));
    await this.#save([...this.#own, { client, acknowledged: 0, highWater: 0 }]);
  }

  async append(client: string, first: number, payloads: readonly string[]): Promise<void> {
    const log = this.#log(client);
    if (log.length !== first) {
      throw new RangeError(`the next operation of ${client} is ${log.length}`);
    }
    await log.append(payloads);
  }

  async appendDraft(client: string, index: number, payload: string): Promise<void> {
    const { length } = this.#log(client);
    this.#drafts ??= await DraftFile.open(draftsPath(this.#folder, client), length);
    const next = length + this.#drafts.count(length);
    if (index !== next) throw new RangeError(`the next draft of ${client} is ${next}`);
    await this.#drafts.append(length, payload);
  }

  async read(client: string, first: number, count: number, bytes: number): Promise<string[]> {
    return this.#log(client).read(first, count, bytes);
  }

  acknowledge(client: string, count: number, delivered: Place | undefined): Promise<void> {
    return this.#record({ kind: "acknowledged", client, count, delivered });
  }

  async receive(cursor: Cursor, payloads: readonly string[]): Promise<void> {
    const received = this.#received.after(cursor, payloads);
    const isLarge = payloads.reduce((sum, { length }) => sum + length, 0) >= LARGE_RUN;
    if (isLarge) {
      await this.#received.writeDurably(received, payloads, () => this.#recorded());
      await this.#record({ kind: "received", received });
    } else {
      await this.#received.write(received, payloads);
      await this.#record({ kind: "received", received, payloads });
    }
  }

  readReceived(client: string, first: number, characters: number): Promise<Received> {
    return this.#received.read(client, first, characters);
  }

  forget(client: string, start: Cursor | undefined): Promise<void> {
    return this.#record({ kind: "forgotten", client, start });
  }

  async keepSnapshot(snapshot: Line | undefined, isLoaded: boolean): Promise<void> {
    const before = this.#snapshot?.file;
    if (snapshot === undefined) await this.#record({ kind: "snapshot" });
    else {
      const { client, index, payload } = snapshot;
      const file = await writeSnapshot(this.#folder, payload);
      await this.#record({ kind: "snapshot", snapshot: { client, index, isLoaded, file } });
    }
    if (before !== undefined) {
      await this.#finish(() => removeSnapshot(this.#folder, before));
    }
  }

  async snapshotLoaded(): Promise<void> {
    const snapshot = this.#snapshot && { ...this.#snapshot, isLoaded: true };
    if (snapshot !== undefined) await this.#record({ kind: "snapshot", snapshot });
  }

  async readSnapshot(): Promise<string | undefined> {
    return this.#snapshot && readSnapshot(this.#folder, this.#snapshot.file);
  }

  async move(move: Move): Promise<void> {
    const { from, length, to, payloads } = move;
    // Until the state is saved, a crash leaves a file that was never finished.
    const log = await LogFile.open(unfinishedPath(this.#folder, to));
    this.#logs.set(to, log);
    await log.append(payloads);
    // The move counts once the state is saved. After a crash from then on, opening cuts the old log.
    await this.#save(withMove(this.#own, move, (one) => this.#lengthOf(one)));
    // They were those of the old client id.
    const drafts = this.#drafts;
    this.#drafts = undefined;
    await this.#finish(
      () => rename(unfinishedPath(this.#folder, to), logPath(this.#folder, to)),
      () => syncFolder(this.#folder),
      () => this.#log(from).cut(length),
      async () => drafts?.close(),
    );
  }

  async cut(client: string, length: number): Promise<void> {
    // After a crash from then on, opening cuts the log.
    await this.#save(withCut(this.#own, client, length));
    await this.#finish(() => this.#log(client).cut(length));
  }

  /** Does what earlier changes have left, before another one is made. */
  async settleLeft(): Promise<void> {
    for (const log of this.#logs.values()) await log.settle();
    await this.#drafts?.settle();
    await this.#changes?.settle();
    if (this.#isUnsaved) await this.#save(this.#own);
    for (let next = this.#left[0]; next !== undefined; next = this.#left[0]) {
      await next();
      this.#left.shift();
    }
  }

  /** Does what is left of a change that is made: where that fails, it is for the next one to report. */
  async #finish(...steps: readonly (() => Promise<unknown>)[]): Promise<void> {
    this.#left.push(...steps);
    await this.settleLeft().catch(() => undefined);
  }

  /** Saves the state, where changes have been recorded since. */
  async settle(): Promise<void> {
    if (this.#changes !== undefined && this.#changes.bytes > 0) await this.#save(this.#own);
  }

  /** Closes all files. It is the last call. */
  async close(): Promise<void> {
    await this.#closeFiles();
  }

  async #closeFiles(): Promise<void> {
    for (const log of this.#logs.values()) await log.close();
    this.#logs.clear();
    await this.#drafts?.close();
    this.#drafts = undefined;
    await this.#changes?.close();
    this.#changes = undefined;
  }

  /** Makes a change durable, and applies it. */
  async #record(change: Change): Promise<void> {
    const { bytes } = this.#changes ?? { bytes: Infinity };
    if (bytes >= CHANGES_BYTES) await this.#save(this.#own);
    await this.#changes?.append(change);
    this.#apply(change);
  }

  #apply(change: Change): void {
    if (change.kind === "received") this.#received.set(change.received);
    else if (change.kind === "forgotten") this.#received.forget(change.client, change.start);
    else if (change.kind === "snapshot") this.#snapshot = change.snapshot;
    else {
      const { client, count, delivered } = change;
      this.#own = withAcknowledged(this.#own, client, count, delivered);
    }
  }

  /** Saves the state with these client ids, and begins a new list of changes. */
  async #save(own: OwnState): Promise<void> {
    const before = this.#changes;
    await this.#received.sync(() => this.#recorded());
    const changes = crypto.randomUUID();
    const state: State = { ...this.#state, version: 3, changes, own };
    this.#isUnsaved = true;
    await replaceFile(this.#folder, STATE_FILE, JSON.stringify(state));
    this.#isUnsaved = false;
    this.#own = own;
    this.#changes = new ChangeLog(changesPath(this.#folder, changes));
    // Where it stays, the next `recover` removes it.
    await before?.remove().catch(() => undefined);
  }

  /** The changes since the state was saved. */
  async #recorded(): Promise<readonly Change[]> {
    return (await this.#changes?.read()) ?? [];
  }

  get #state(): Pick<State, "received" | "snapshot"> {
    return { received: this.#received.all, ...(this.#snapshot && { snapshot: this.#snapshot }) };
  }

  #log(client: string): LogFile {
    const log = this.#logs.get(client);
    if (log === undefined) throw new RangeError(`${client} is no client id of this store`);
    return log;
  }

  #lengthOf({ client, length }: OwnState[number]): number {
    return length ?? this.#log(client).length;
  }
}
