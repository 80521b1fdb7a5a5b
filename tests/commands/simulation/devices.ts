/** Devices that append, make snapshots and leave, and what was acknowledged to them. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { type InProcessServer, newSigningUser, type SigningUser } from "../../support/signing.ts";
import type { Random } from "../../support/simulation/random.ts";
import { newClient } from "../../support/users.ts";

/** There are prepared keys for so many: making one takes long. */
const USERS = 6;
const CLIENTS = 2;
/** After so many operations a device takes a new client id. */
const LONGEST = 2000;

/** A user at one moment: what a copy that begins then has to have. */
export interface Acknowledged {
  readonly user: SigningUser;
  readonly isErased: boolean;
  /** The payloads, by client. */
  readonly clients: ReadonlyMap<string, readonly string[]>;
}

class Log {
  readonly user: SigningUser;
  readonly clients = new Map<string, string[]>();
  isErased = false;
  /** True from the request on. */
  isLeaving = false;

  constructor(user: SigningUser) {
    this.user = user;
  }
}

export class Devices {
  operations = 0;
  snapshots = 0;
  erased = 0;
  readonly #server: InProcessServer;
  readonly #random: Random;
  readonly #logs: readonly Log[];
  #isRunning = true;

  private constructor(server: InProcessServer, random: Random, logs: readonly Log[]) {
    this.#server = server;
    this.#random = random;
    this.#logs = logs;
  }

  static async of(server: InProcessServer, random: Random): Promise<Devices> {
    const logs: Log[] = [];
    while (logs.length < USERS) logs.push(new Log(await newSigningUser()));
    return new Devices(server, random, logs);
  }

  /** What was acknowledged by now. */
  acknowledged(): Acknowledged[] {
    return this.#logs.map(({ user, isErased, clients }) => ({
      ...{ user, isErased },
      clients: new Map([...clients].map(([client, payloads]) => [client, [...payloads]])),
    }));
  }

  /** Resolves after `stop`. Rejects where a request is not answered as it should be. */
  async run(): Promise<void> {
    const devices = this.#logs.flatMap((log) => Array.from({ length: CLIENTS }, () => log));
    await Promise.all(devices.map((log) => this.#use(log)));
  }

  stop(): void {
    this.#isRunning = false;
  }

  /** Has a user leave, unless few are left. */
  async leave(): Promise<void> {
    const log = this.#logs.find(({ isLeaving }) => !isLeaving);
    if (log === undefined || this.erased >= USERS / 2) return;
    log.isLeaving = true;
    for (;;) {
      const { status, problem, text } = await this.#server.erase(log.user);
      if (problem.check === "clock") continue;
      assert.equal(status, 204, text);
      break;
    }
    log.isErased = true;
    this.erased++;
  }

  async #use(log: Log): Promise<void> {
    let client = "";
    let payloads: string[] = [];
    while (this.#isRunning && !log.isLeaving) {
      if (client === "" || payloads.length > LONGEST) {
        [client, payloads] = [newClient(), []];
        log.clients.set(client, payloads);
      }
      const isSnapshot = payloads.length > 0 && this.#random.chance(0.02);
      const count = isSnapshot || this.#random.chance(0.7) ? 1 : this.#random.between(2, 12);
      const first = payloads.length;
      const added = Array.from({ length: count }, (_, i) => {
        return `${client} ${first + i} `.padEnd(this.#random.between(60, 600), "x");
      });
      const covers = Object.fromEntries(
        [...log.clients].flatMap(([id, { length }]) => (length > 0 ? [[id, length - 1]] : [])),
      );
      const answer = await this.#server.signed(log.user, {
        ...{ client_id: client, operation_index: first, snapshots: true },
        payload: count === 1 ? added[0] : added,
        ...(isSnapshot ? { snapshot: { covers } } : {}),
      });
      if (log.isLeaving) return;
      // The clock was set forward since it was signed.
      if (answer.problem.check === "clock") continue;
      assert.equal(answer.status, 200, answer.text);
      payloads.push(...added);
      this.operations += count;
      if (isSnapshot) this.snapshots++;
      await sleep(this.#random.between(20, 100));
    }
  }
}
