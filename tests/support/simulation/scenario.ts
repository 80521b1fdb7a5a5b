import { BYTES_PER_OBJECT } from "../../../sync/quota.ts";
import type { ProcessOptions } from "./process.ts";
import type { Random } from "./random.ts";
import type { StorageOptions } from "./storage.ts";

export type Action =
  | "append"
  | "twice"
  | "retry"
  | "read"
  | "compact"
  | "conflict"
  | "gap"
  | "sign"
  | "die"
  | "wait"
  | "erase";

/** The conditions of a run, before anything happens in it. */
export interface Scenario {
  readonly storage: StorageOptions;
  readonly process: ProcessOptions;
  readonly processes: number;
  /** Whether the processes tell each other what they store. */
  readonly cluster: boolean;
  readonly users: number;
  readonly clientsPerUser: number;
  /** How many clients have a clone. */
  readonly clones: number;
  /** The probability that a device asks the process that it asks most often. */
  readonly homing: number;
  /** The probability that a device signs from the start. */
  readonly signing: number;
  readonly actions: number;
  /** What devices do; more often what is in it several times. */
  readonly kinds: readonly [Action, ...Action[]];
}

type Narrowed = Omit<Scenario, "storage" | "cluster"> & Partial<Pick<Scenario, "cluster">>;

/** Any conditions; most seeds narrow them down to some that faults like. */
export function scenarioOf(random: Random): Scenario {
  const narrowed = random.of([anything, newClients, packedForks, sharedQuotas, talking])(random);
  const faulty = random.chance(0.5);
  const storage = {
    faults: faulty ? random.of([0.02, 0.1]) : 0,
    late: faulty ? random.of([0, 0.05, 0.15]) : 0,
    page: random.of([1, 2, 3, 1000]),
  };
  const { cluster = narrowed.processes > 1 && random.chance(0.5) } = narrowed;
  // What storage does late is announced late, by a timer.
  if (cluster) storage.late = 0;
  return { ...narrowed, storage, cluster };
}

function anything(random: Random): Narrowed {
  const some = (probability: number, ...kinds: Action[]) =>
    random.chance(probability) ? kinds : [];
  return {
    process: processOptions(random),
    processes: random.between(1, 3),
    users: random.between(1, 2),
    clientsPerUser: random.between(1, 4),
    clones: random.of([0, 0, 1]),
    homing: 0,
    signing: random.of([0, 0, 0.7]),
    actions: random.between(5, 50),
    kinds: [
      ...(["append", "append", "append", "append", "twice", "twice", "retry", "read"] as const),
      ...(["read", "conflict", "gap", "wait"] as const),
      ...some(0.5, "compact", "compact"),
      ...some(0.5, "sign"),
      ...some(0.5, "die"),
      ...some(0.2, "erase"),
    ],
  };
}

/** Clients of a user that are new append at once, near the quotas, some of them signed. */
function newClients(random: Random): Narrowed {
  return {
    process: {
      ...processOptions(random),
      quotaBytes: random.of([0, quotaFor(random.between(20, 200))]),
      quotaClients: random.of([0, 1, 2, 3]),
    },
    processes: 1,
    users: 1,
    clientsPerUser: random.between(3, 5),
    clones: 0,
    homing: 0,
    signing: random.of([0, 0.7]),
    actions: random.between(4, 20),
    kinds: ["append", "append", "append", "append", "retry", "twice", "compact", "sign"],
  };
}

/** As `newClients`, through several processes. */
function sharedQuotas(random: Random): Narrowed {
  return { ...newClients(random), processes: random.between(2, 3) };
}

/** Processes of a cluster that hardly ever list, and die. */
function talking(random: Random): Narrowed {
  const some = (...kinds: Action[]) => (random.chance(0.3) ? kinds : []);
  return {
    process: {
      ...processOptions(random),
      ttl: random.of([300, 1e9]),
      cachedRuns: random.of([30, 1000]),
    },
    cluster: true,
    processes: random.between(2, 3),
    users: 1,
    clientsPerUser: random.between(1, 3),
    clones: 0,
    homing: random.of([0, 0.9]),
    signing: random.of([0, 0, 0.3]),
    actions: random.between(20, 60),
    kinds: [
      ...(["append", "append", "append", "twice", "retry", "retry", "read", "read"] as const),
      ...some("compact", "compact"),
      ...some("die", "die"),
      ...some("sign"),
      ...some("erase"),
    ],
  };
}

/** Clones append through processes that list seldom and pack often. */
function packedForks(random: Random): Narrowed {
  return {
    process: {
      ...processOptions(random),
      ttl: random.of([300, 1e9]),
      cachedBytes: random.of([0, 0, 2000]),
      quotaBytes: 0,
      quotaClients: 0,
      packOperations: random.between(2, 3),
    },
    processes: random.between(2, 3),
    users: 1,
    clientsPerUser: random.between(1, 3),
    clones: random.between(1, 2),
    homing: 0.9,
    signing: 0,
    actions: random.between(20, 60),
    kinds: [
      ...(["append", "append", "append", "twice", "retry", "retry", "retry", "read"] as const),
      ...(["read", "compact", "compact", "compact"] as const),
    ],
  };
}

function processOptions(random: Random): ProcessOptions {
  return {
    ttl: random.of([0, 20, 300, 1e9]),
    cachedRuns: random.of([1, 8, 30, 1000]),
    cachedBytes: random.of([0, 2000, 100_000]),
    quotaBytes: random.chance(0.3) ? quotaFor(random.between(60, 600)) : 0,
    quotaClients: random.chance(0.3) ? random.between(1, 3) : 0,
    retention: random.of([0, 0, 5, 100, 1e9]),
    packOperations: random.between(2, 6),
    packBytes: random.of([300, 1500, 100_000]),
    packObjects: random.of([1, 4, 1000]),
  };
}

/** The quota for so many bytes in objects of 30 bytes. */
function quotaFor(bytes: number): number {
  return bytes + Math.ceil(bytes / 30) * BYTES_PER_OBJECT;
}
