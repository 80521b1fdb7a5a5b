import {
  type Announcement,
  CLAIM_LASTS_MS,
  type Claim,
  type Claimed,
  type Cluster,
  type SharedBucket,
  type Step,
  type Taken,
  type Taking,
  type Version,
} from "./cluster.ts";

type Listener = (announcement: Announcement) => void;

interface Level {
  readonly tokens: number;
  readonly at: number;
}

interface Claiming extends Claim {
  readonly ends: number;
}

/**
 * What the servers of one process share. It says what a cluster has to do, as briefly as possible, and
 * keeps a little of every log and bucket for as long as it lives.
 */
export class MemoryHub {
  readonly #now: () => number;
  readonly #servers = new Set<MemoryCluster>();
  readonly #versions = new Map<string, Version>();
  readonly #levels = new Map<string, Level>();
  readonly #claims = new Map<string, Map<string, Claiming>>();
  readonly #unannounced = new Set<string>();
  #isReachable = true;
  /** How often the hub was out of reach. */
  #losses = 0;
  #made = 0;

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  join(): Cluster {
    const server = new MemoryCluster(this);
    this.#servers.add(server);
    return server;
  }

  leave(server: MemoryCluster): void {
    this.#servers.delete(server);
  }

  /** Whether a server takes part. */
  reaches(server: MemoryCluster): boolean {
    return this.#isReachable && this.#servers.has(server);
  }

  /** False cuts all servers off, until it is true again. */
  set reachable(isReachable: boolean) {
    if (isReachable === this.#isReachable) return;
    this.#isReachable = isReachable;
    if (!isReachable) {
      this.#losses++;
      this.#versions.clear();
      return;
    }
    for (const log of this.#unannounced) this.announce(log, "");
    this.#unannounced.clear();
  }

  version(log: string): Version {
    const version = this.#versions.get(log) ?? this.#newVersion();
    this.#versions.set(log, version);
    return version;
  }

  follows(version: Version): boolean {
    return version.startsWith(`${this.#losses} `);
  }

  /** Remembers a change that cannot be announced now. */
  remember(log: string): void {
    this.#unannounced.add(log);
  }

  announce(log: string, change: string, claim = ""): Step {
    const step = { before: this.version(log), after: this.#newVersion() };
    this.#versions.set(log, step.after);
    this.release(log, claim);
    // Later, so that what a listener announces comes after this for all servers.
    queueMicrotask(() => {
      for (const server of this.#servers) server.receive({ log, change, ...step });
    });
    return step;
  }

  take({ buckets, tokens, onlyIfLeft }: Taking): Taken {
    const now = this.#now();
    const levels = buckets.map((bucket) => this.#levelOf(bucket, now));
    const taken = !onlyIfLeft || levels.every((level) => level >= 1);
    const after = buckets.map(({ name, burst }, i) => {
      const level = levels[i] ?? burst;
      const left = taken ? Math.min(burst, level - tokens) : level;
      this.#levels.set(name, { tokens: left, at: now });
      return left;
    });
    return { taken, tokens: after };
  }

  claim(claim: Claim): Claimed {
    if (this.#versions.get(claim.log) !== claim.version) {
      return { outcome: "outdated", bytes: 0, clients: 0, objects: 0 };
    }
    const now = this.#now();
    const claims = this.#claims.get(claim.log) ?? new Map<string, Claiming>();
    for (const [id, { ends }] of claims) if (ends <= now) claims.delete(id);
    const others = [...claims.values()].filter(({ id }) => id !== claim.id);
    const claimed = {
      bytes: sum(others.map(({ bytes }) => bytes)),
      objects: sum(others.map(({ objects }) => objects)),
      clients: newClients(others.filter(({ client }) => client !== claim.client)),
    };
    const outcome = outcomeOf(claim, claimed);
    if (outcome === "granted") claims.set(claim.id, { ...claim, ends: now + CLAIM_LASTS_MS });
    this.#claims.set(claim.log, claims);
    return { outcome, ...claimed };
  }

  release(log: string, claim: string): void {
    this.#claims.get(log)?.delete(claim);
  }

  #newVersion(): Version {
    return `${this.#losses} ${++this.#made}`;
  }

  #levelOf({ name, rate, burst }: SharedBucket, now: number): number {
    const level = this.#levels.get(name);
    if (level === undefined) return burst;
    return Math.min(burst, level.tokens + ((now - level.at) / 1000) * rate);
  }
}

/** One server of a hub. */
class MemoryCluster implements Cluster {
  readonly #hub: MemoryHub;
  readonly #listeners: Listener[] = [];

  constructor(hub: MemoryHub) {
    this.#hub = hub;
  }

  get isJoined(): boolean {
    return this.#hub.reaches(this);
  }

  get missing(): number {
    return 0;
  }

  get isReliable(): boolean {
    return this.isJoined;
  }

  get isForgotten(): boolean {
    return false;
  }

  async version(log: string): Promise<Version | undefined> {
    return this.isJoined ? this.#hub.version(log) : undefined;
  }

  follows(version: Version): boolean {
    return this.isJoined && this.#hub.follows(version);
  }

  async announce(log: string, change: string, claim?: string): Promise<Step | undefined> {
    if (this.isJoined) return this.#hub.announce(log, change, claim);
    this.#hub.remember(log);
    return undefined;
  }

  onAnnouncement(listener: Listener): void {
    this.#listeners.push(listener);
  }

  receive(announcement: Announcement): void {
    for (const listener of this.#listeners) listener(announcement);
  }

  async take(taking: Taking): Promise<Taken | undefined> {
    return this.isJoined ? this.#hub.take(taking) : undefined;
  }

  async claim(claim: Claim): Promise<Claimed | undefined> {
    return this.follows(claim.version) ? this.#hub.claim(claim) : undefined;
  }

  release(log: string, claim: string): void {
    this.#hub.release(log, claim);
  }

  async close(): Promise<void> {
    this.#hub.leave(this);
  }
}

function outcomeOf(
  { bytes, objects, isNewClient, room }: Claim,
  claimed: Omit<Claimed, "outcome">,
): Claimed["outcome"] {
  const clients = claimed.clients + (isNewClient ? 1 : 0);
  const size = claimed.objects + objects + clients * room.runsPerClient;
  if (claimed.bytes + bytes > room.bytes) return "bytes";
  if (size > room.size) return "size";
  if (isNewClient && clients > room.clients) return "clients";
  return "granted";
}

/** How many clients claims bring that the listing lacks. */
function newClients(claims: readonly Claim[]): number {
  return new Set(claims.filter(({ isNewClient }) => isNewClient).map(({ client }) => client)).size;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
