/** One run: devices, clones of them, processes and storage, in the order that a seed decides. */
import assert from "node:assert/strict";
import { MemoryHub } from "../../../cluster/memory.ts";
import { OperationConflict, OperationGap } from "../../../oplog/append-plan.ts";
import { OperationsLost } from "../../../oplog/chunks.ts";
import { Listing } from "../../../oplog/listing.ts";
import { type Fingerprint, isFingerprint, parseName } from "../../../oplog/names.ts";
import { ObjectMissing, StorageUnavailable } from "../../../storage/driver.ts";
import { SignatureRequired, UserErased } from "../../../sync/access.ts";
import { BYTES_PER_OBJECT, QuotaExceeded } from "../../../sync/quota.ts";
import type { SyncResult } from "../../../sync/service.ts";
import type { Operation } from "../http.ts";
import { SimulatedCluster } from "./cluster.ts";
import { UserModel } from "./model.ts";
import { type Append, Died, SimulatedProcess } from "./process.ts";
import { Random } from "./random.ts";
import { type Scenario, scenarioOf } from "./scenario.ts";
import { Scheduler } from "./scheduler.ts";
import { SimulatedStorage } from "./storage.ts";

/** A client, or a clone of one: what it knows is stored, and what it has yet to send. */
interface Device {
  readonly model: UserModel;
  readonly client: string;
  readonly acknowledged: string[];
  pending: string[];
  /** The process that it asks most often. */
  readonly home: number;
  signs: boolean;
  /** True when another device uses the same client id. */
  cloned: boolean;
  /** True once another payload was stored under its next index: it appends nothing more. */
  stuck: boolean;
}

/** Runs a seed. Throws where an invariant is broken. */
export async function simulate(seed: number): Promise<void> {
  await new World(seed).run();
}

class World {
  readonly #random: Random;
  readonly #scheduler: Scheduler;
  readonly #storage: SimulatedStorage;
  readonly #scenario: Scenario;
  readonly #hub: MemoryHub;
  /** When processes died. */
  readonly #deaths: number[] = [];
  readonly #processes: SimulatedProcess[];
  readonly #devices: Device[] = [];
  readonly #models: UserModel[] = [];
  #payloads = 0;

  constructor(seed: number) {
    const random = new Random(seed);
    this.#random = random;
    this.#scheduler = new Scheduler(random);
    this.#scenario = scenarioOf(random);
    const { storage, process, processes, users, clones } = this.#scenario;
    this.#storage = new SimulatedStorage(this.#scheduler, random, storage);
    this.#hub = new MemoryHub(() => this.#scheduler.now);
    this.#processes = Array.from({ length: processes }, () => this.#start());
    for (let user = 0; user < users; user++) {
      const model = new UserModel(fingerprint(user), {
        now: () => this.#scheduler.now,
        isKnown: (at) =>
          at + this.#delay(process.ttl) + (this.#scenario.cluster ? ANNOUNCED_WITHIN : 0) <=
          this.#scheduler.now,
      });
      this.#models.push(model);
      for (let client = 0; client < this.#scenario.clientsPerUser; client++) {
        this.#devices.push(this.#newDevice(model, `${user}${client}`));
      }
    }
    for (let clone = 0; clone < clones; clone++) {
      const device = this.#anyDevice();
      if (random.chance(0.5)) this.#write(device);
      this.#clone(device);
    }
  }

  async run(): Promise<void> {
    const idle = new Map<Device, Promise<void>>();
    const work = Array.from({ length: this.#scenario.actions }, () => {
      const device = this.#anyDevice();
      const action = (idle.get(device) ?? Promise.resolve()).then(() => this.#act(device));
      idle.set(device, action);
      return action;
    });
    try {
      await this.#scheduler.run(Promise.all(work));
      this.#storage.faulty = false;
      await this.#scheduler.run(this.#settle());
      for (const { user, mayBeErased } of this.#models) if (mayBeErased) this.#checkErased(user);
    } finally {
      for (const process of this.#processes) process.stop();
    }
  }

  async #act(device: Device): Promise<void> {
    // Bursts now and then: some act at once, others after a while.
    for (let turns = this.#random.of([0, 1, 30]); turns > 0; turns--) await this.#scheduler.turn();
    const kind = this.#random.of(this.#scenario.kinds);
    const { model } = device;
    switch (kind) {
      case "append":
        return this.#append(device, this.#processOf(device));
      case "twice": {
        const process = this.#processOf(device);
        const other = this.#random.chance(0.5) ? process : this.#anyProcess();
        this.#write(device);
        await Promise.all([this.#send(device, process), this.#send(device, other)]);
        return;
      }
      case "retry": {
        const first = this.#random.between(0, Math.max(0, device.acknowledged.length - 1));
        const payloads = device.acknowledged.slice(first);
        if (payloads.length > 0)
          await this.#request(device, this.#anyProcess(), { first, payloads });
        return;
      }
      case "conflict":
        return this.#refused(
          device,
          this.#random.between(0, 9) % (device.acknowledged.length || 1),
        );
      case "gap":
        return this.#refused(device, device.acknowledged.length + device.pending.length + 1);
      case "read":
        await this.#request(device, this.#processOf(device));
        return;
      case "compact":
        await this.#compact(this.#anyProcess(), model.user, this.#random.chance(0.3));
        return;
      case "sign":
        device.signs = true;
        return;
      case "die":
        this.#replace(this.#anyNumber());
        return;
      case "erase":
        await this.#erase(model, this.#anyProcess());
        return;
      case "wait":
        this.#scheduler.skip(this.#random.of([5, 50, 500]));
        return;
    }
  }

  #newDevice(model: UserModel, number: string): Device {
    // In byte order before the markers of the user, between them, or after them.
    const digit = this.#random.between(0, 15).toString(16);
    return {
      model,
      client: `${digit}f0c1a52-7f7e-4d35-a9a5-0000000000${number}`,
      acknowledged: [],
      pending: [],
      home: this.#anyNumber(),
      signs: this.#random.chance(this.#scenario.signing),
      cloned: false,
      stuck: false,
    };
  }

  /** Adds a device under the client id of another, which has the same to send at first. */
  #clone(device: Device): void {
    device.cloned = true;
    const pending = [...device.pending];
    this.#devices.push({ ...device, acknowledged: [], pending, home: this.#anyNumber() });
  }

  /** Writes something, and sends it: alone, with what was not sent before, or with what was. */
  async #append(device: Device, process: SimulatedProcess): Promise<void> {
    this.#write(device);
    await this.#send(device, process);
  }

  #write(device: Device): void {
    if (device.stuck) return;
    for (let count = this.#random.of([1, 1, 1, 2, 4]); count > 0; count--) {
      this.#payloads++;
      device.pending.push(`${this.#payloads}${"x".repeat(this.#random.of([0, 10, 80]))}`);
    }
  }

  async #send(device: Device, process: SimulatedProcess): Promise<void> {
    const { acknowledged, pending } = device;
    if (pending.length === 0) return;
    const first = Math.max(0, acknowledged.length - this.#random.of([0, 0, 1, 2]));
    const some = pending.slice(0, this.#random.between(1, pending.length));
    const payloads = [...acknowledged.slice(first), ...some];
    await this.#request(device, process, { first, payloads });
  }

  /** Sends a request, and reads the answer. */
  async #request(device: Device, process: SimulatedProcess, append?: Append): Promise<void> {
    const { model, client, signs } = device;
    const operations = operationsOf(client, append);
    model.sent(operations);
    if (signs) model.mayBeLocked = true;
    const locked = !signs && model.isLockedFor(process);
    const erased = model.isErasedFor(process);
    const due = model.dueFrom(process);
    const acknowledged = this.#isReliable() ? model.allAcknowledged() : [];
    const syncStatus = this.#anySyncStatus(model);
    try {
      const result = await process.sync(model.user, client, signs, append, syncStatus);
      assert.ok(!erased, "an erased user was answered");
      assert.ok(!locked, "an unsigned request was answered after a signed one");
      if (signs) model.locked(process);
      if (append !== undefined) this.#acknowledge(device, process, append);
      const lines = await this.#read(process, result);
      if (this.#isReliable()) due.push(...acknowledged);
      model.delivered(process, lines, syncStatus, [...due, ...operations]);
    } catch (error) {
      if (!this.#isExpected(error, device, signs)) throw error;
    }
  }

  /** Sends an operation that has to be refused, because of its index. */
  async #refused(device: Device, first: number): Promise<void> {
    const { model, client, signs, acknowledged } = device;
    // A clone may have used the index, or the one before it.
    if (device.cloned || (acknowledged.length === 0 && first === 0)) return;
    const process = this.#anyProcess();
    const isGap = first >= acknowledged.length;
    // A process that has not listed the operation yet may store another beside it.
    const isKnown = model
      .dueFrom(process)
      .some((due) => due.client_id === client && due.operation_index === first);
    if (!isGap && !isKnown) return;
    if (signs) model.mayBeLocked = true;
    try {
      await process.sync(model.user, client, signs, { first, payloads: ["refuse this"] });
    } catch (error) {
      if (error instanceof (isGap ? OperationGap : OperationConflict)) return;
      if (this.#isExpected(error, device, signs)) return;
      throw error;
    }
    assert.ok(model.mayBeErased, "an operation was acknowledged that has to be refused");
  }

  /** The lines of an answer: never more than it promised. */
  async #read(process: SimulatedProcess, { reading }: SyncResult): Promise<Operation[]> {
    const { count, lines } = reading;
    const operations: Operation[] = [];
    for (;;) {
      // The client takes its time.
      for (let turns = this.#random.of([0, 0, 1, 20]); turns > 0; turns--) {
        await this.#scheduler.turn();
      }
      const { value, done } = await process.unlessDead(lines.next());
      if (done === true) break;
      for (const line of Buffer.from(value).toString().split("\n").slice(0, -1)) {
        operations.push(JSON.parse(line));
      }
      assert.ok(operations.length <= count, "more lines than Operation-Count");
    }
    assert.equal(operations.length, count, "lines and Operation-Count differ");
    return operations;
  }

  #acknowledge(device: Device, process: SimulatedProcess, { first, payloads }: Append): void {
    const { model, client, acknowledged } = device;
    model.acknowledged(process, operationsOf(client, { first, payloads }));
    const added = payloads.slice(Math.max(0, acknowledged.length - first));
    acknowledged.push(...added);
    device.pending = device.pending.slice(added.length);
    this.#checkQuotas(model);
  }

  /**
   * With one process, and with several that count together, what was acknowledged is within the quotas,
   * but for what landed late.
   */
  #checkQuotas(model: UserModel): void {
    if (this.#processes.length > 1 && !this.#isReliable()) return;
    const late = this.#storage.late.filter(({ name }) => name.startsWith(`${model.user}.`));
    const times = model.mayBeLocked ? 2 : 1;
    const quotaBytes = times * this.#scenario.process.quotaBytes;
    const quotaClients = times * this.#scenario.process.quotaClients;
    const lateBytes = late.reduce((sum, { size }) => sum + size, 0);
    const lateClients = new Set(late.map(({ name }) => parseName(name)?.client));
    if (quotaBytes > 0) {
      const stored = this.#storage.stored.filter(({ name }) => name.startsWith(`${model.user}.`));
      const { objects, bytes } = new Listing(stored).footprint;
      const counted = bytes + (objects - late.length) * BYTES_PER_OBJECT;
      assert.ok(counted <= quotaBytes + lateBytes, `${counted} of ${quotaBytes} bytes`);
      assert.ok(model.bytes <= quotaBytes + lateBytes, `${model.bytes} of ${quotaBytes} bytes`);
    }
    if (quotaClients > 0) {
      const clients = [...model.clients].filter((client) => !lateClients.has(client)).length;
      assert.ok(clients <= quotaClients, `${clients} of ${quotaClients} clients`);
    }
  }

  async #compact(process: SimulatedProcess, user: Fingerprint, idle: boolean): Promise<boolean> {
    try {
      return await process.compact(user, idle);
    } catch (error) {
      const expected = [StorageUnavailable, ObjectMissing, Died];
      if (!expected.some((type) => error instanceof type)) throw error;
      return false;
    }
  }

  async #erase(model: UserModel, process: SimulatedProcess): Promise<void> {
    model.mayBeErased = true;
    try {
      await process.erase(model.user);
      model.erased(process);
    } catch (error) {
      if (!(error instanceof StorageUnavailable || error instanceof Died)) throw error;
    }
  }

  /** True for what a request may end with. Learns from it. */
  #isExpected(error: unknown, device: Device, signed: boolean): boolean {
    const { model } = device;
    if (error instanceof UserErased) return model.mayBeErased;
    if (error instanceof OperationGap) return model.mayBeErased;
    if (error instanceof SignatureRequired) {
      device.signs = true;
      return model.mayBeLocked && !signed;
    }
    if (error instanceof OperationConflict) {
      device.stuck = true;
      device.pending = [];
      return device.cloned;
    }
    if (error instanceof QuotaExceeded) {
      return this.#scenario.process.quotaBytes + this.#scenario.process.quotaClients > 0;
    }
    const broken = [StorageUnavailable, ObjectMissing, OperationsLost, Died];
    return broken.some((type) => error instanceof type);
  }

  /** How long another process may lack what one has stored: of PROTOCOL.md. */
  #delay(ttl: number): number {
    const { longestList } = this.#storage;
    return ttl > 0 && longestList > ttl / 2 ? ttl + longestList : ttl;
  }

  /** When all is quiet, everything is sent, everything is delivered, and packing changes nothing. */
  async #settle(): Promise<void> {
    this.#replace(0);
    const process = this.#anyProcess(0);
    for (const device of this.#devices) {
      for (let tries = 0; device.pending.length > 0 && tries < 10; tries++) {
        await this.#send(device, process);
      }
      if (!device.stuck && !device.model.mayBeErased && this.#hasNoQuota()) {
        assert.deepEqual(device.pending, [], "what a device has written cannot be sent");
      }
    }
    for (const model of this.#models) {
      await this.#readAll(model, process);
      while (await process.compact(model.user, true)) await this.#readAll(model, process);
    }
    this.#replace(0);
    for (const model of this.#models) await this.#readAll(model, this.#anyProcess(0));
  }

  async #readAll(model: UserModel, process: SimulatedProcess): Promise<void> {
    const due = model.dueFrom(process);
    model.mayBeLocked = true;
    try {
      const result = await process.sync(model.user, READER, true);
      assert.ok(!model.isErasedFor(process), "an erased user was answered");
      model.delivered(process, await this.#read(process, result), new Map(), due);
    } catch (error) {
      if (!(error instanceof UserErased && model.mayBeErased)) throw error;
    }
  }

  /** A user with a tombstone has nothing else in storage. */
  #checkErased(user: Fingerprint): void {
    const names = this.#storage.stored.map(({ name }) => name);
    const stored = names.filter((name) => name.startsWith(`${user}.`));
    const tombstones = stored.filter((name) => name.includes(".erased."));
    if (tombstones.length > 0)
      assert.equal(stored.length, 1, "something is left of an erased user");
  }

  #start(): SimulatedProcess {
    const now = () => this.#scheduler.now;
    const { cluster, process } = this.#scenario;
    const clusterOf = (mortal: { readonly alive: boolean }) =>
      new SimulatedCluster(this.#hub, this.#scheduler, mortal, () => this.#isReliable());
    return new SimulatedProcess(this.#storage, now, process, cluster ? clusterOf : undefined);
  }

  /** Whether processes can rely on each other: there is a cluster, and none of them is found missing. */
  #isReliable(): boolean {
    const { cluster, process } = this.#scenario;
    const noticed = this.#scheduler.now - FOUND_MISSING_AFTER * process.ttl;
    return cluster && this.#deaths.every((at) => at > noticed);
  }

  /** Ends a process, and starts another in its place. */
  #replace(number: number): void {
    this.#processes[number]?.die();
    this.#deaths.push(this.#scheduler.now);
    this.#processes[number] = this.#start();
  }

  #anyNumber(): number {
    return this.#random.between(0, this.#processes.length - 1);
  }

  #processOf({ home }: Device): SimulatedProcess {
    return this.#anyProcess(this.#random.chance(this.#scenario.homing) ? home : undefined);
  }

  #anyProcess(number = this.#anyNumber()): SimulatedProcess {
    const process = this.#processes[number];
    assert.ok(process !== undefined);
    return process;
  }

  #anyDevice(): Device {
    const device = this.#devices[this.#random.between(0, this.#devices.length - 1)];
    assert.ok(device !== undefined);
    return device;
  }

  #anySyncStatus({ user }: UserModel): Map<string, number> {
    const known = this.#devices.filter((device) => device.model.user === user);
    const syncStatus = new Map<string, number>();
    for (const { client } of known) {
      if (this.#random.chance(0.3)) syncStatus.set(client, this.#random.between(-1, 5));
    }
    return syncStatus;
  }

  #hasNoQuota(): boolean {
    return this.#scenario.process.quotaBytes + this.#scenario.process.quotaClients === 0;
  }
}

/** How many parts of `LISTING_TTL` pass until a process that has died is found missing. */
const FOUND_MISSING_AFTER = 0.6;

/** By when the processes have announced to each other what storage has failed to do in time. */
const ANNOUNCED_WITHIN = 1000;

/** A client that stores nothing. */
const READER = "5f0c1a52-7f7e-4d35-a9a5-ffffffffffff";

function operationsOf(client: string, append: Append | undefined): Operation[] {
  return (append?.payloads ?? []).map((payload, i) => ({
    client_id: client,
    operation_index: (append?.first ?? 0) + i,
    payload,
  }));
}

function fingerprint(number: number): Fingerprint {
  const text = String(number).padStart(43, "A");
  assert.ok(isFingerprint(text));
  return text;
}
