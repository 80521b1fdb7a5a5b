/**
 * Simulates processes that share a folder with journals: puts, deletes, lists, reads, packing, copies,
 * maintenance, faults, crashes and power losses, in an order that a seed decides.
 */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { ObjectMissing } from "../../../storage/driver.ts";
import { JournaledDriver } from "../../../storage/journal/journaled-driver.ts";
import { Chance, type Process, SimulatedDisk, SimulatedFault } from "./simulated-disk.ts";

/** How often some random steps are followed by a race. */
const ROUNDS = 3;
const STEPS = 40;
/** In milliseconds. */
const ADOPT_AFTER = 1_000;
const REST = 10;
const KEEP = 500;
/** In bytes. */
const JOURNAL = 1_000;

interface Running extends Process {
  readonly driver: JournaledDriver;
}

/** What is known of an object: whether it was acknowledged, and whether a delete has begun or ended. */
interface Known {
  readonly body: Buffer;
  stored: boolean;
  deleting: boolean;
  deleted: boolean;
  /**
   * A process that was making a file of it died or met a fault, or the journal went that would have
   * said that it was deleted.
   */
  mayReturn: boolean;
  /** How many puts have begun and not succeeded. */
  puts: number;
  /** How often it was stored again after a delete. */
  again: number;
  /** The object that it was packed into. */
  heldBy?: string;
}

/** Runs one seed. Throws where an acknowledged object is lost, or a deleted one is back. */
export async function simulate(seed: number): Promise<void> {
  try {
    await new Simulation(new Chance(seed)).run();
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`seed ${seed}: ${said}`, { cause });
  }
}

class Simulation {
  readonly #chance: Chance;
  readonly #disk: SimulatedDisk;
  readonly #objects = new Map<string, Known>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #errors: unknown[] = [];
  #running: Running[] = [];
  readonly #opening = new Set<Process>();
  #segments = 0;
  #copying = 0;
  /** How many journals have been removed. */
  #removed = 0;

  constructor(chance: Chance) {
    this.#chance = chance;
    this.#disk = new SimulatedDisk(chance);
    this.#disk.onFault = (made) => this.#mayReturn(made);
    this.#disk.onRemoved = (storing) => {
      this.#removed++;
      this.#mayReturn(storing);
    };
  }

  async run(): Promise<void> {
    for (let round = 0; round < ROUNDS && this.#errors.length === 0; round++) {
      for (let step = 0; step < STEPS; step++) await this.#step();
      this.#disk.faults = 0;
      await this.#settle();
      const race = this.#chance.pick([
        this.#adoption,
        this.#removal,
        this.#mutual,
        this.#move,
        this.#packing,
        this.#neededDelete,
        this.#powerLoss,
      ]);
      await race?.call(this);
      await this.#settle();
    }
    await this.#checkAll();
  }

  /** A process writes to its journal while another one takes it for dead, or removes the journal. */
  async #adoption(): Promise<void> {
    const [owner, other] = await this.#two();
    await this.#do(() => this.#put(owner, this.#newName()));
    if (this.#chance.next() < 0.5) {
      this.#writeAny(owner);
      await this.#someSteps(6);
      owner.paused = true;
    }
    this.#disk.time += 2 * ADOPT_AFTER;
    for (let stage = this.#chance.below(3); stage > 0; stage--) {
      await this.#do(() => other.driver.maintain());
      this.#disk.time += KEEP;
    }
    owner.paused = false;
    const maintains = this.#chance.below(3);
    for (let count = 0; count < 3; count++) {
      if (count === maintains) this.#begin(() => other.driver.maintain());
      await this.#someSteps(5);
      this.#writeAny(owner);
    }
    await this.#settle();
    // What is not read until others are done must not be lost either.
    await this.#do(() => this.#list(other, ""));
  }

  /** Two processes look after what a third one left. */
  async #removal(): Promise<void> {
    const [first, second] = await this.#two();
    for (let count = 3; count > 0; count--) this.#begin(() => this.#put(first, this.#newName()));
    await this.#settle();
    this.#crash(first);
    const [third] = await this.#two(second);
    this.#disk.time += 2 * ADOPT_AFTER;
    for (let round = 0; round < 3; round++) {
      for (const each of [second, third]) this.#begin(() => each.driver.maintain());
      await this.#someSteps(10);
      this.#writeAny(second);
      await this.#settle();
      this.#disk.time += KEEP;
    }
  }

  /** Two processes that slept take each other for dead, and have the same objects. */
  async #mutual(): Promise<void> {
    const [first, second] = await this.#two();
    const names = [1, 2].map(() => this.#newName());
    for (const name of names) {
      for (const some of [first, second]) this.#begin(() => this.#put(some, name));
    }
    await this.#settle();
    for (let round = 0; round < 3; round++) {
      this.#disk.time += 2 * ADOPT_AFTER;
      for (const some of [first, second]) this.#begin(() => some.driver.maintain());
      await this.#settle();
    }
    await this.#do(() => this.#list(first, ""));
  }

  /** Objects move while they are deleted, and the process that moves them may die. */
  async #move(): Promise<void> {
    const [owner, other] = await this.#two();
    const names: string[] = [];
    for (const size of this.#chance.next() < 0.5 ? [100] : [300, 300, 300]) {
      names.push(this.#newName(size));
    }
    for (const name of names) await this.#do(() => this.#put(owner, name));
    const adopts = this.#chance.next() < 0.5;
    this.#disk.time += adopts ? 2 * ADOPT_AFTER : 0;
    // Full, and left alone for long enough.
    if (!adopts) {
      for (let full = 0; full < JOURNAL; full += 300) {
        const filler = this.#newName(300);
        await this.#do(() => this.#put(owner, filler));
        if (this.#chance.next() < 0.7) await this.#do(() => this.#delete(owner, filler));
      }
      this.#disk.time += REST;
    }
    const [mover, deleter] = adopts ? [other, owner] : [owner, other];
    this.#begin(() => mover.driver.maintain());
    await this.#someSteps(8);
    this.#begin(() => this.#list(deleter, ""));
    await this.#someSteps(4);
    // A list may take as long as the whole move.
    if (this.#chance.next() < 0.5) {
      deleter.paused = true;
      await this.#settle();
      deleter.paused = false;
    }
    if (this.#chance.next() < 0.7) {
      for (const name of names) this.#begin(() => this.#delete(deleter, name));
    }
    if (this.#chance.next() < 0.1) {
      await this.#someSteps(10);
      this.#crash(mover);
    } else if (this.#chance.next() < 0.5) {
      // They are deleted and stored again while one that makes files of them sleeps.
      await this.#someSteps(10);
      mover.paused = true;
      await this.#settle();
      for (const name of names) await this.#do(() => this.#put(deleter, name));
      mover.paused = false;
      for (const name of names) this.#begin(() => this.#get(mover, name));
    }
    await this.#settle();
    await this.#do(() => this.#list(deleter, ""));
  }

  /** A copy is made while everything is packed. */
  async #packing(): Promise<void> {
    const [first, second] = await this.#two();
    const names = [1, 2, 3].map(() => this.#newName());
    for (const name of names) await this.#do(() => this.#put(first, name));
    if (this.#chance.next() < 0.5) this.#disk.time += 2 * ADOPT_AFTER;
    this.#begin(() => this.#copy());
    await this.#someSteps(10);
    if (this.#chance.next() < 0.5) {
      for (let round = 0; round < 2; round++) {
        this.#begin(() => second.driver.maintain());
        await this.#someSteps(60);
      }
    }
    for (const name of names) {
      const some = this.#chance.pick([first, second]) ?? first;
      this.#begin(() => this.#pack(some, name));
      await this.#someSteps(15);
    }
    if (this.#chance.next() < 0.5) this.#begin(() => first.driver.maintain());
  }

  /** A journal is removed in which others are told that their objects are deleted. */
  async #neededDelete(): Promise<void> {
    const [owner, other] = await this.#two();
    const name = this.#newName();
    await this.#do(() => this.#put(owner, name));
    await this.#do(() => this.#delete(other, name));
    for (let full = 0; full < JOURNAL; full += 300) {
      const filler = this.#newName(300);
      await this.#do(() => this.#put(other, filler));
    }
    for (const wait of [REST, KEEP, KEEP]) {
      this.#disk.time += wait;
      if (this.#chance.next() < 0.3) await this.#do(() => owner.driver.maintain());
      await this.#do(() => other.driver.maintain());
    }
    await this.#do(() => this.#open());
    const last = this.#running.at(-1);
    if (last !== undefined) await this.#do(() => this.#list(last, ""));
  }

  /** The disk loses power while processes write; then several start at once. */
  async #powerLoss(): Promise<void> {
    const [first, second] = await this.#two();
    if (this.#chance.next() < 0.5) {
      const name = this.#newName();
      await this.#do(() => this.#put(first, name));
      await this.#do(() => this.#delete(second, name));
    }
    for (const each of [first, second, first]) {
      this.#writeAny(each);
      await this.#someSteps(6);
    }
    this.#losePower();
    for (let count = 1 + this.#chance.below(3); count > 0; count--) this.#begin(() => this.#open());
    await this.#settle();
  }

  /** Two processes that run, in any order; the first given is the second. */
  async #two(given?: Running): Promise<[Running, Running]> {
    while (this.#running.length < 2) await this.#do(() => this.#open());
    const first = this.#chance.pick(this.#running.filter((some) => some !== given));
    const second = given ?? this.#chance.pick(this.#running.filter((some) => some !== first));
    assert.ok(first !== undefined && second !== undefined);
    return [first, second];
  }

  #writeAny(some: Running): void {
    if (this.#chance.next() < 0.6) this.#begin(() => this.#put(some, this.#newName()));
    else this.#begin(() => this.#delete(some, this.#anyName()));
  }

  async #someSteps(limit: number): Promise<void> {
    for (let count = this.#chance.below(limit); count > 0; count--) {
      await setImmediate();
      this.#disk.step();
    }
  }

  #newName(size = this.#chance.below(120)): string {
    const name = `u${this.#chance.below(3)}.n${this.#objects.size}`;
    this.#objects.set(name, this.#newObject(size));
    return name;
  }

  async #do(work: () => Promise<unknown>): Promise<void> {
    this.#begin(work);
    await this.#settle();
  }

  #losePower(): void {
    for (const each of this.#running) this.#crash(each);
    for (const each of this.#opening) each.alive = false;
    this.#mayReturn(this.#disk.storing());
    this.#disk.losePower();
  }

  async #step(): Promise<void> {
    const chance = this.#chance;
    const some = chance.pick(this.#running);
    const roll = chance.next();
    if (some === undefined || (this.#running.length < 3 && roll < 0.02)) {
      this.#begin(() => this.#open());
    } else if (roll < 0.3) this.#begin(() => this.#put(some, this.#anyName()));
    else if (roll < 0.38) this.#begin(() => this.#delete(some, this.#anyName()));
    else if (roll < 0.42) this.#begin(() => this.#pack(some, this.#anyName()));
    else if (roll < 0.5) {
      this.#begin(() => this.#list(some, chance.pick(["", "u0.", "u1.", "u2."]) ?? ""));
    } else if (roll < 0.56) this.#begin(() => this.#get(some, this.#anyName()));
    else if (roll < 0.6) this.#begin(() => some.driver.maintain());
    else if (roll < 0.62) this.#disk.time += chance.below(this.#copying > 0 ? 20 : 2 * ADOPT_AFTER);
    else if (roll < 0.63) this.#crash(some);
    else if (roll < 0.633) {
      this.#losePower();
    } else if (roll < 0.64) this.#disk.faults = chance.next() < 0.7 ? 0 : 0.1;
    else if (roll < 0.645 && this.#copying === 0) this.#begin(() => this.#copy());
    else {
      await setImmediate();
      this.#disk.step();
    }
  }

  async #open(disk = this.#disk): Promise<JournaledDriver | undefined> {
    const process: Process = { alive: true };
    if (disk === this.#disk) this.#opening.add(process);
    try {
      const driver = await JournaledDriver.open({
        files: disk.files(process),
        folder: disk.folder(process),
        onDamage: (journal, damage) =>
          this.#errors.push(new Error(`damage in ${journal}: ${JSON.stringify(damage)}`)),
        onError: () => undefined,
        maxBytes: JOURNAL,
        timing: { rest: REST, keep: KEEP, adoptAfter: ADOPT_AFTER },
        now: () => disk.time,
      });
      if (disk === this.#disk) this.#running.push(Object.assign(process, { driver }));
      return driver;
    } catch (error) {
      if (!isFault(error)) throw error;
      return undefined;
    } finally {
      this.#opening.delete(process);
    }
  }

  async #put({ driver }: Running, name: string): Promise<void> {
    const known = this.#objects.get(name) ?? this.#newObject();
    this.#objects.set(name, known);
    if (known.deleting) {
      if (!known.deleted || known.heldBy !== undefined || this.#chance.next() < 0.5) return;
      known.again++;
      [known.stored, known.deleting, known.deleted] = [false, false, false];
    }
    known.puts++;
    try {
      await driver.put(name, known.body);
      known.puts--;
      // Stored again as a file at once, which the process that made a file of the first may remove:
      // see the consequences in docs/decisions/journal.md.
      known.stored = known.again === 0 || !this.#disk.hasFile(name);
    } catch (error) {
      if (!isFault(error)) throw error;
    }
  }

  async #delete({ driver }: Running, name: string, heldBy?: string): Promise<void> {
    const known = this.#objects.get(name);
    // A put that is under way, or was when its process died, may come after the delete.
    if (known?.stored !== true || known.deleting || known.puts > 0) return;
    known.deleting = true;
    if (heldBy !== undefined) known.heldBy = heldBy;
    try {
      await driver.delete(name, heldBy);
      known.deleted = true;
    } catch (error) {
      if (!isFault(error)) throw error;
    }
  }

  /** Stores an object that holds another one, which is then deleted, as compaction does. */
  async #pack(some: Running, name: string): Promise<void> {
    if (this.#objects.get(name)?.stored !== true) return;
    const segment = `${name.slice(0, 2)}.s${this.#segments++}`;
    const known = this.#newObject();
    this.#objects.set(segment, known);
    try {
      await some.driver.put(segment, known.body, { fromReserve: this.#chance.next() < 0.5 });
      known.stored = true;
    } catch (error) {
      if (!isFault(error)) throw error;
      return;
    }
    if (this.#chance.next() < 0.7) await this.#deleteHeld(some, name, segment);
    // What is not in a journal stays for a while.
    if (this.#copying === 0) await this.#delete(some, name, segment);
  }

  async #deleteHeld({ driver }: Running, name: string, heldBy: string): Promise<void> {
    const known = this.#objects.get(name);
    if (known?.stored !== true || known.deleting || known.puts > 0) return;
    known.deleting = true;
    known.heldBy = heldBy;
    try {
      const [deleted] = await driver.deleteHeld([{ name, heldBy }]);
      if (deleted === undefined) {
        known.deleting = false;
        delete known.heldBy;
      } else {
        known.deleted = true;
        // Of an object that is stored twice, one may be left.
        if (this.#disk.hasFile(name)) known.mayReturn = true;
      }
    } catch (error) {
      if (!isFault(error)) throw error;
    }
  }

  async #list({ driver }: Pick<Running, "driver">, prefix: string): Promise<void> {
    const before = new Map([...this.#objects].map(([name, known]) => [name, { ...known }]));
    // What a process makes a file of at the moment of a delete is seen until that process looks for it.
    const storing = this.#disk.watchStoring();
    let names: Set<string>;
    try {
      names = new Set((await driver.list(prefix)).map(({ name }) => name));
    } catch (error) {
      if (!isFault(error)) throw error;
      return;
    }
    for (const [name, { stored, deleted, again }] of before) {
      if (!name.startsWith(prefix) || this.#objects.get(name)?.again !== again) continue;
      const deleting = this.#objects.get(name)?.deleting === true;
      if (stored && !deleting) assert.ok(names.has(name), `${name} is lost`);
      if (deleted && !storing().has(name) && this.#objects.get(name)?.mayReturn !== true)
        assert.ok(!names.has(name), `${name} is back`);
    }
    // A retry of what a list shows is acknowledged, unless it was deleted and is stored again meanwhile.
    for (const name of names) {
      const known = this.#objects.get(name);
      if (known !== undefined && known.again === (before.get(name)?.again ?? 0))
        known.stored = true;
    }
  }

  async #get({ driver }: Pick<Running, "driver">, name: string): Promise<void> {
    const known = this.#objects.get(name);
    if (known === undefined) return;
    const { stored, again } = known;
    try {
      const body = await driver.get(name);
      assert.ok(known.body.equals(body), `${name} has another body`);
    } catch (error) {
      if (isFault(error)) return;
      if (!(error instanceof ObjectMissing)) throw error;
      assert.ok(!stored || known.deleting || known.again !== again, `${name} is not there`);
    }
  }

  /** Copies the folder file by file: the copy has what was stored before, or what holds it. */
  async #copy(): Promise<void> {
    this.#copying++;
    try {
      const before = new Map([...this.#objects].map(([name, { again }]) => [name, again]));
      const isSame = (name: string) => this.#objects.get(name)?.again === before.get(name);
      const needed = [...this.#objects]
        .filter(([, { stored, deleting }]) => stored && !deleting)
        .map(([name]) => name);
      const gone = [...this.#objects]
        .filter(([, { deleted, heldBy }]) => deleted && heldBy === undefined)
        .map(([name]) => name);
      const copy = new SimulatedDisk(this.#chance);
      const storing = this.#disk.watchStoring();
      const removed = this.#removed;
      await this.#disk.copyTo(copy);
      // A delete may be in a journal that was begun meanwhile, because the one it was in was removed.
      const isKept = removed === this.#removed;
      const made = storing();
      await this.#checkCopy(
        copy,
        () => needed.filter(isSame),
        () => (isKept ? gone.filter((name) => isSame(name) && !made.has(name)) : []),
      );
    } finally {
      this.#copying--;
    }
  }

  async #checkCopy(
    copy: SimulatedDisk,
    needed: () => readonly string[],
    gone: () => readonly string[],
  ): Promise<void> {
    let driver: JournaledDriver | undefined;
    const opened = this.#open(copy).then(async (some) => {
      driver = some;
      for (let round = 0; round < 3 && some !== undefined; round++) {
        const names = new Set((await some.list("")).map(({ name }) => name));
        for (const name of needed()) this.#checkHeld(name, names);
        for (const name of gone()) {
          const isBack = names.has(name) && this.#objects.get(name)?.mayReturn !== true;
          assert.ok(!isBack, `${name} is back in a copy`);
        }
        copy.time += ADOPT_AFTER;
        await some.maintain();
      }
    });
    await copy.run(opened);
    await driver?.close();
  }

  #checkHeld(name: string, names: ReadonlySet<string>): void {
    const known = this.#objects.get(name);
    if (known === undefined || names.has(name)) return;
    const { heldBy, deleting } = known;
    // Deleted for good while the copy was made.
    if (deleting && heldBy === undefined) return;
    assert.ok(heldBy !== undefined, `${name} is missing in a copy`);
    this.#checkHeld(heldBy, names);
  }

  /** Starts a new process, which has to find all objects. */
  async #checkAll(): Promise<void> {
    if (this.#errors.length > 0) throw this.#errors[0];
    await this.#do(() => this.#open());
    const last = this.#running.at(-1);
    assert.ok(last !== undefined);
    for (let round = 0; round < 2; round++) {
      this.#begin(() => this.#list(last, ""));
      for (const name of this.#objects.keys()) this.#begin(() => this.#get(last, name));
      await this.#settle();
      this.#disk.time += 2 * ADOPT_AFTER;
      this.#begin(() => last.driver.maintain());
      await this.#settle();
    }
    if (this.#errors.length > 0) throw this.#errors[0];
  }

  #begin(work: () => Promise<unknown>): void {
    const task: Promise<void> = work()
      .then(
        () => undefined,
        (error: unknown) => {
          this.#errors.push(error);
        },
      )
      .finally(() => this.#tasks.delete(task));
    this.#tasks.add(task);
  }

  /** Until all is done but what processes that died have begun. */
  async #settle(): Promise<void> {
    while (this.#tasks.size > 0) {
      await setImmediate();
      if (this.#disk.step()) continue;
      await setImmediate();
      if (!this.#disk.step()) break;
    }
    this.#tasks.clear();
  }

  #crash(some: Running): void {
    some.alive = false;
    this.#mayReturn(this.#disk.storing(some));
    this.#running = this.#running.filter((other) => other !== some);
  }

  #mayReturn(names: readonly string[]): void {
    for (const name of names) {
      const known = this.#objects.get(name);
      if (known !== undefined) known.mayReturn = true;
    }
  }

  #anyName(): string {
    return `u${this.#chance.below(3)}.${this.#chance.below(1 + this.#objects.size / 2)}`;
  }

  #newObject(size = this.#chance.below(120)): Known {
    const body = Buffer.alloc(size, this.#chance.below(256));
    return {
      body,
      stored: false,
      deleting: false,
      deleted: false,
      mayReturn: false,
      puts: 0,
      again: 0,
    };
  }
}

/** Whether the simulated disk has made this call fail. */
function isFault(error: unknown): boolean {
  return error instanceof Error && (error instanceof SimulatedFault || isFault(error.cause));
}
