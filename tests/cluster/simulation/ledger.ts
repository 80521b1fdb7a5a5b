import type { Operation } from "../../support/http.ts";
import type { Health } from "./health.ts";

/** What is known of an operation that was acknowledged. */
export interface Acknowledged {
  readonly server: string;
  /** When the request was sent that was answered. */
  readonly sentAt: number;
  readonly at: number;
}

/** A read that was answered. */
export interface Read {
  readonly server: string;
  readonly from: number;
  readonly to: number;
  readonly vector: ReadonlyMap<string, number>;
  readonly operations: readonly Operation[];
}

/** How much later than `LISTING_TTL` an operation may be seen: for timers and clocks of two processes. */
const MARGIN_MS = 300;

const LARGE = 70_000;

/** What the devices of one user have stored, and what a read has to show of it. */
export class Ledger {
  readonly user: string;
  readonly #health: Health;
  readonly #ttl: number;
  readonly #clients = new Map<string, Acknowledged[]>();
  readonly #sent = new Map<string, number>();

  constructor(user: string, health: Health, ttl: number) {
    this.user = user;
    this.#health = health;
    this.#ttl = ttl;
  }

  get clients(): readonly string[] {
    return [...this.#clients.keys()];
  }

  /** The number of operations of a client that are acknowledged. */
  count(client: string): number {
    return this.#clients.get(client)?.length ?? 0;
  }

  /** The payloads of a client's next operations, which may be stored from now on. */
  next(client: string, count: number): string[] {
    const first = this.count(client);
    this.#sent.set(client, first + count);
    return Array.from({ length: count }, (_, i) => payloadOf(client, first + i));
  }

  acknowledged(client: string, count: number, acknowledged: Acknowledged): void {
    const known = this.#clients.get(client) ?? [];
    for (let i = 0; i < count; i++) known.push(acknowledged);
    this.#clients.set(client, known);
  }

  /** The last index of a client that was acknowledged by a time; -1 for none. */
  lastBy(client: string, time: number): number {
    return (this.#clients.get(client) ?? []).findLastIndex(({ at }) => at < time);
  }

  /** Whether all other servers learned at once of what a server has acknowledged. */
  wasAnnounced({ server, sentAt, at }: Acknowledged): boolean {
    return this.#health.isJoined(server, sentAt, at);
  }

  /** The first operation acknowledged after a time that a reader does not know. */
  firstNewsAfter(time: number, vector: ReadonlyMap<string, number>): Acknowledged | undefined {
    const news = [...this.#clients].flatMap(([client, known]) =>
      known.slice((vector.get(client) ?? -1) + 1),
    );
    const later = news.filter((entry) => entry.at > time && this.wasAnnounced(entry));
    return later.toSorted((a, b) => a.at - b.at)[0];
  }

  /** Checks an answer, and returns what is wrong with it. */
  faultsOf(read: Read): string[] {
    const faults: string[] = [];
    const last = new Map(read.vector);
    for (const { client_id, operation_index, payload } of read.operations) {
      const expected = (last.get(client_id) ?? -1) + 1;
      const what = `client ${client_id}, index ${operation_index}`;
      if (operation_index !== expected) faults.push(`${what}: index ${expected} is to come next`);
      else if (operation_index >= (this.#sent.get(client_id) ?? 0)) faults.push(`${what}: unknown`);
      else if (payload !== payloadOf(client_id, operation_index)) faults.push(`${what}: altered`);
      last.set(client_id, operation_index);
    }
    const isExact = this.#health.isJoined(read.server, read.from, read.to);
    for (const [client, known] of this.#clients) {
      const seen = last.get(client) ?? -1;
      const missing = known.findLastIndex((entry) => this.#isDue(entry, read, isExact));
      const entry = known[missing];
      if (missing <= seen || entry === undefined) continue;
      const age = Math.round(read.from - entry.at);
      const rule = entry.at < read.from - this.#ttl - MARGIN_MS ? "LISTING_TTL" : "the cluster";
      faults.push(
        `client ${client}, index ${missing}: missing, against ${rule}; the answer ends at ${seen}, and ${entry.server} had acknowledged it ${age} ms before`,
      );
    }
    return faults;
  }

  #isDue(entry: Acknowledged, read: Read, isExact: boolean): boolean {
    if (entry.at >= read.from) return false;
    if (entry.at < read.from - this.#ttl - MARGIN_MS) return true;
    if (!isExact) return false;
    // What a server could not announce, it has made up for when it takes part again.
    return this.wasAnnounced(entry) || this.#health.isJoined(entry.server, read.from, read.from);
  }
}

/** Most are small; one in 200 is too large for a journal. */
function payloadOf(client: string, index: number): string {
  const size = index % 200 === 150 ? LARGE : (index * 7919) % 300;
  return `${client}.${index}.${"x".repeat(size)}`;
}
