/** The real handler behind a network that loses, cuts, delays and repeats; and a clock that jumps. */

import type { Clock } from "../../client/index.ts";
import { readConfig } from "../../server/config.ts";
import { createLogger } from "../../server/logger.ts";
import { createHandler, type Handler } from "../../server.ts";
import { MemoryDriver } from "../../storage/memory.ts";

export const URL_OF_SERVER = "http://sync.test";

const MINUTE = 60_000;

/**
 * What a server does in the background is due by its clock, and is done when a simulation asks for it. A
 * timer of the runtime waits for as long: until then, a simulation is over.
 */
const STEP = 10 * MINUTE;

/** Lets everything else run that is ready. */
export function nextTick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A clock on which every finite wait ends at once. */
export class JumpingClock implements Clock {
  #now = 1_800_000_000_000;

  now(): number {
    return this.#now;
  }

  /** So much time passes in which nothing happens. */
  pass(milliseconds: number): void {
    this.#now += milliseconds;
  }

  async sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (milliseconds === Number.POSITIVE_INFINITY) {
      if (signal.aborted) return;
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
    }
    this.#now += milliseconds;
    await nextTick();
  }
}

/** A server whose storage can be backed up and restored. */
export class SimulatedServer {
  requests = 0;
  /** How many requests had a snapshot. */
  snapshots = 0;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #clock: Pick<Clock, "now"> | undefined;
  #driver = new MemoryDriver();
  #handler: Handler;
  #copy: MemoryDriver | undefined;

  /** @param clock the server's, if that is not the system's */
  constructor(settings: Readonly<Record<string, string>> = {}, clock?: Pick<Clock, "now">) {
    this.#settings = settings;
    this.#clock = clock;
    this.#handler = this.#start();
  }

  async fetch(request: Request): Promise<Response> {
    this.requests++;
    const body = await request.clone().text();
    if (body.includes('"snapshot":{')) this.snapshots++;
    return this.#handler.fetch(request);
  }

  /** Deletes what it may, of the users that were seen since the last time. */
  async trim(): Promise<void> {
    await this.#handler.trimmed();
  }

  /** Packs what it may. */
  async pack(): Promise<void> {
    await this.#handler.packed();
  }

  /** Ends what it would do in the background. */
  async stop(): Promise<void> {
    await this.#handler.stop();
  }

  /** The number of objects that are stored. */
  async count(): Promise<number> {
    return (await this.#driver.list("")).length;
  }

  /** Copies the storage. */
  async backUp(): Promise<void> {
    this.#copy = await copyOf(this.#driver);
  }

  /** Starts again with the copy, if there is one: what was stored since is lost. */
  async restore(): Promise<void> {
    if (this.#copy === undefined) return;
    await this.stop();
    this.#driver = await copyOf(this.#copy);
    this.#handler = this.#start();
  }

  #start(): Handler {
    const config = readConfig({ RATE_LIMIT: "0", LOG: "silent", ...this.#settings });
    const clock = this.#clock;
    const byClock = clock && {
      time: () => clock.now(),
      now: () => clock.now(),
      compaction: {
        limits: { operations: 4 },
        pause: nextTick,
        timing: { debounce: STEP, scanStep: STEP, deleteDelay: config.PACKED_RETENTION },
      },
      retention: { step: STEP, pause: nextTick },
    };
    const logger = createLogger(config.LOG);
    return createHandler({ config, driver: this.#driver, logger, ...byClock });
  }
}

async function copyOf(driver: MemoryDriver): Promise<MemoryDriver> {
  const copy = new MemoryDriver();
  for (const { name } of await driver.list("")) await copy.put(name, await driver.get(name));
  return copy;
}

/** The faults of one request. */
type Fault =
  | "lost"
  | "unanswered"
  | "busy"
  | "limited"
  | "cut"
  | "broken"
  | "twice"
  | "again later";

export const FAULTS: readonly Fault[] = [
  "lost",
  "unanswered",
  "busy",
  "limited",
  "cut",
  "broken",
  "twice",
  "again later",
];

export class SimulatedNetwork {
  /** The share of requests with a fault, from 0 to 1. */
  faulty = 0.5;
  /** How often each fault occurred. */
  readonly counts = new Map<Fault, number>();
  readonly #server: SimulatedServer;
  readonly #random: () => number;
  readonly #later: (() => Request)[] = [];

  /** @param random from 0 up to 1 */
  constructor(server: SimulatedServer, random: () => number) {
    this.#server = server;
    this.#random = random;
  }

  readonly fetch = async (request: Request): Promise<Response> => {
    for (let turns = Math.floor(this.#random() * 4); turns > 0; turns--) await nextTick();
    if (this.#random() < 0.5) await this.#sendLater();
    const again = await repeatable(request);
    const answer = () => this.#server.fetch(again());
    if (this.#random() >= this.faulty) return answer();
    const fault = FAULTS[Math.floor(this.#random() * FAULTS.length)] ?? "lost";
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
    switch (fault) {
      case "lost":
        throw new TypeError("the connection broke");
      case "unanswered":
        await (await answer()).arrayBuffer();
        throw new TypeError("the connection broke");
      case "busy":
        return new Response("<h1>Bad gateway</h1>", { status: 502 });
      case "limited":
        return new Response(null, { status: 429, headers: { "Retry-After": "2" } });
      case "twice":
        await (await answer()).arrayBuffer();
        return answer();
      case "again later":
        this.#later.push(again);
        return answer();
      case "cut":
      case "broken":
        return this.#cut(await answer(), fault === "broken");
    }
  };

  /** Delivers an earlier request again. */
  async #sendLater(): Promise<void> {
    const request = this.#later.shift();
    if (request === undefined) return;
    const late = request();
    // Nobody is there to wait for its answer.
    late.headers.delete("prefer");
    await (await this.#server.fetch(late)).arrayBuffer();
  }

  /** Delivers a part of an answer; behind a proxy that may look like its end. */
  async #cut(response: Response, broken: boolean): Promise<Response> {
    const bytes = new Uint8Array(await response.arrayBuffer());
    const length = Math.floor(this.#random() * bytes.length);
    const { status, headers } = response;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        const middle = Math.floor(this.#random() * length);
        controller.enqueue(bytes.slice(0, middle));
        controller.enqueue(bytes.slice(middle, length));
        if (broken) controller.error(new TypeError("the connection broke"));
        else controller.close();
      },
    });
    return new Response(body, { status, headers });
  }
}

/** A function that makes the same request any number of times. */
async function repeatable(request: Request): Promise<() => Request> {
  const { url, method, headers, signal } = request;
  const body = await request.text();
  return () => new Request(url, { method, headers, body, signal });
}

/** Pseudorandom numbers from 0 up to 1 (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
