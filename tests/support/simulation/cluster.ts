import type {
  Announcement,
  Claim,
  Claimed,
  Cluster,
  Step,
  Taken,
  Taking,
  Version,
} from "../../../cluster/cluster.ts";
import type { MemoryHub } from "../../../cluster/memory.ts";
import type { Scheduler } from "./scheduler.ts";

/** A process that may have died. */
interface Mortal {
  readonly alive: boolean;
}

/**
 * A server's connection to a hub: what it sends takes a turn, and what comes back, replies and
 * announcements alike, takes turns in the order in which it was sent. A dead process sends nothing more.
 */
export class SimulatedCluster implements Cluster {
  readonly #hub: Cluster;
  readonly #scheduler: Scheduler;
  readonly #process: Mortal;
  readonly #isComplete: () => boolean;
  readonly #listeners: ((announcement: Announcement) => void)[] = [];
  /** What is on its way back. */
  readonly #coming: (() => void)[] = [];
  #isDelivering = false;

  /** @param isComplete whether no server of the hub is missing by now */
  constructor(hub: MemoryHub, scheduler: Scheduler, process: Mortal, isComplete: () => boolean) {
    this.#hub = hub.join();
    this.#scheduler = scheduler;
    this.#process = process;
    this.#isComplete = isComplete;
    this.#hub.onAnnouncement((announcement) =>
      this.#deliver(() => {
        for (const listener of this.#listeners) listener(announcement);
      }),
    );
  }

  readonly isJoined = true;
  readonly isForgotten = false;

  get missing(): number {
    return this.#isComplete() ? 0 : 1;
  }

  get isReliable(): boolean {
    return this.#isComplete();
  }

  version(log: string): Promise<Version | undefined> {
    return this.#call(() => this.#hub.version(log));
  }

  follows(version: Version): boolean {
    return this.#hub.follows(version);
  }

  announce(log: string, change: string, claim?: string): Promise<Step | undefined> {
    return this.#call(() => this.#hub.announce(log, change, claim));
  }

  onAnnouncement(listener: (announcement: Announcement) => void): void {
    this.#listeners.push(listener);
  }

  take(taking: Taking): Promise<Taken | undefined> {
    return this.#call(() => this.#hub.take(taking));
  }

  claim(claim: Claim): Promise<Claimed | undefined> {
    return this.#call(() => this.#hub.claim(claim));
  }

  release(log: string, claim: string): void {
    void this.#call(async () => this.#hub.release(log, claim));
  }

  close(hasStopped?: boolean): Promise<void> {
    return this.#hub.close(hasStopped);
  }

  async #call<Result>(work: () => Promise<Result>): Promise<Result> {
    await this.#scheduler.turn();
    if (!this.#process.alive) return never();
    const result = await work();
    return new Promise((resolve) => this.#deliver(() => resolve(result)));
  }

  #deliver(arrive: () => void): void {
    this.#coming.push(arrive);
    if (!this.#isDelivering) void this.#deliverAll();
  }

  async #deliverAll(): Promise<void> {
    this.#isDelivering = true;
    for (let next = this.#coming.shift(); next !== undefined; next = this.#coming.shift()) {
      await this.#scheduler.turn();
      if (this.#process.alive) next();
    }
    this.#isDelivering = false;
  }
}

/** What a dead process waits for. */
function never(): Promise<never> {
  return new Promise(() => undefined);
}
