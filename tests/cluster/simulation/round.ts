import { setTimeout as sleep } from "node:timers/promises";
import type { Program } from "../../support/process.ts";
import { startRedis } from "../../support/redis.ts";
import { Random } from "../../support/simulation/random.ts";
import { newClient, newUser } from "../../support/users.ts";
import { poll, waitForNews, write } from "./devices.ts";
import { FAULTS } from "./faults.ts";
import { Fleet } from "./fleet.ts";
import { Health } from "./health.ts";
import { Ledger } from "./ledger.ts";
import { Pace } from "./pace.ts";
import type { Report } from "./report.ts";

/** What happens in a round. */
export interface Plan {
  readonly seed: number;
  readonly servers: number;
  /** `LISTING_TTL` in seconds. */
  readonly ttl: number;
  readonly users: number;
  readonly clients: number;
  /** Names of faults, one after the other. */
  readonly faults: readonly string[];
  /** How long it is quiet before each fault and after the last one, in milliseconds. */
  readonly calm: number;
  /** How long a poll of a server that is not down may take, in milliseconds, unless the machine is slow. */
  readonly answeredWithin: number;
  /** How many milliseconds after an acknowledgement a device that waits may learn of it. */
  readonly wokenWithin: number;
}

/** A plan that a seed decides. */
export function planOf(seed: number): Plan {
  const random = new Random(seed);
  const names = Object.keys(FAULTS);
  const [first = "", ...others] = names;
  return {
    seed,
    servers: random.between(2, 3),
    ttl: random.between(1, 4),
    users: random.between(1, 3),
    clients: random.between(1, 3),
    faults: Array.from({ length: random.between(2, 4) }, () => random.of([first, ...others])),
    calm: random.between(1500, 3000),
    // Several waits for Redis of 250 ms, and a busy machine.
    answeredWithin: 2000,
    wokenWithin: 3000,
  };
}

/** Runs servers and devices through the faults of a plan. */
export async function runRound(
  plan: Plan,
  program: Program,
  storage: string,
  report: Report,
): Promise<void> {
  const random = new Random(plan.seed);
  const health = new Health();
  const redis = await startRedis();
  const ended = new AbortController();
  const pace = new Pace();
  const ttl = 1000 * plan.ttl;
  const settings = { STORAGE: storage, LISTING_TTL: `${plan.ttl}s`, LOG: "debug" };
  let fleet: Fleet | undefined;
  try {
    fleet = await Fleet.start({ size: plan.servers, program, settings, redis, health });
    const devices: Promise<void>[] = [];
    for (let i = 0; i < plan.users; i++) {
      const ledger = new Ledger(newUser().base64, health, ttl);
      const stays = random.chance(0.7);
      const surroundings = {
        stays,
        fleet,
        health,
        ledger,
        random,
        report,
        pace,
        wokenWithin: plan.wokenWithin,
        signal: ended.signal,
      };
      for (let j = 0; j < plan.clients; j++) devices.push(write(newClient(), surroundings));
      devices.push(poll(surroundings), poll(surroundings), waitForNews(surroundings));
    }
    const work = Promise.all(devices);
    const happening = (async () => {
      for (const name of plan.faults) {
        await sleep(plan.calm);
        report.event(name);
        await FAULTS[name]?.({ fleet, redis, health, random, ttl });
        report.event("all is well");
      }
      await sleep(plan.calm);
    })();
    await Promise.race([happening, work]);
    ended.abort();
    await work;
    if (report.longestRead > pace.limit(plan.answeredWithin)) {
      const late = Math.round(pace.latest);
      report.fault(
        `a poll took ${Math.round(report.longestRead)} ms, and timers were ${late} ms late`,
      );
    }
    if (report.faults.length > 0) {
      for (const { id, process } of fleet.servers) {
        report.note(`${id} has logged:\n${lastLines(process.output())}`);
      }
    }
  } finally {
    ended.abort();
    pace.end();
    await fleet?.close();
    await redis.remove();
  }
}

/** What a server has logged of the cluster and of errors. */
function lastLines(log: string): string {
  const lines = log.split("\n").filter((line) => !line.includes('"level":"debug"'));
  return lines.slice(-12).join("\n");
}
