import { setTimeout as sleep } from "node:timers/promises";
import { metricOf } from "../../support/metrics.ts";
import { type Program, type ServerProcess, startServer } from "../../support/process.ts";
import type { Redis } from "../../support/redis.ts";
import type { Health } from "./health.ts";
import { type Link, openLink } from "./link.ts";

/** The longest pause between two attempts to connect is 3 s, and the machine may be very busy. */
const RECOVERED_WITHIN_MS = 60_000;

export interface FleetOptions {
  readonly size: number;
  readonly program: Program;
  readonly settings: Readonly<Record<string, string>>;
  readonly redis: Redis;
  readonly health: Health;
}

/** A server, from its start to its end. */
export interface Server {
  /** Its place, and how often a server was started there: "b2". */
  readonly id: string;
  readonly place: number;
  readonly process: ServerProcess;
  readonly link: Link;
}

/** The servers of a cluster, each with its own way to Redis. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #links: Link[] = [];
  readonly #servers = new Map<number, Server>();
  readonly #starts = new Map<number, number>();

  private constructor(options: FleetOptions) {
    this.#options = options;
  }

  static async start(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(options);
    for (let place = 0; place < options.size; place++) {
      fleet.#links.push(await openLink(options.redis.port));
      await fleet.startAt(place);
    }
    return fleet;
  }

  /** Those that run, paused ones included. */
  get servers(): readonly Server[] {
    return [...this.#servers.values()];
  }

  async startAt(place: number): Promise<void> {
    const { program, settings, health } = this.#options;
    const link = this.#links[place];
    if (link === undefined) throw new Error(`there is no place ${place}`);
    const count = (this.#starts.get(place) ?? 0) + 1;
    this.#starts.set(place, count);
    const process = await startServer({ ...settings, CLUSTER: link.url }, program);
    const id = `${String.fromCharCode(97 + place)}${count}`;
    health.add(id, process.output);
    this.#servers.set(place, { id, place, process, link });
  }

  /** Ends a server; from now on nothing is asked of it. */
  async end(server: Server, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const { health } = this.#options;
    health.goesDown(server.id);
    this.#servers.delete(server.place);
    await server.process.end(signal);
  }

  /** Waits until servers take part in the cluster again. */
  async joined(servers: readonly Server[]): Promise<void> {
    const deadline = performance.now() + RECOVERED_WITHIN_MS;
    for (const server of servers) {
      while (!(await isJoined(server))) {
        if (performance.now() > deadline) throw new Error(`${server.id} has not joined again`);
        await sleep(100);
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.servers.map((server) => this.end(server, "SIGTERM")));
    await Promise.all(this.#links.map((link) => link.close()));
  }
}

/** Whether a server takes part in the cluster. */
async function isJoined({ process }: Server): Promise<boolean> {
  return (await metricOf(process.url, "sync_cluster_reached")) === 1;
}
