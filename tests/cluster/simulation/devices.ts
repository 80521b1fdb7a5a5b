/** The devices of a user, which append through any server, poll, and wait. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, sync } from "../../support/http.ts";
import type { Random } from "../../support/simulation/random.ts";
import { newClient } from "../../support/users.ts";
import type { Fleet, Server } from "./fleet.ts";
import type { Health } from "./health.ts";
import type { Ledger, Read } from "./ledger.ts";
import type { Pace } from "./pace.ts";
import type { Report } from "./report.ts";

/** What a device works with. */
export interface Surroundings {
  readonly fleet: Fleet;
  readonly health: Health;
  readonly ledger: Ledger;
  readonly random: Random;
  readonly report: Report;
  readonly pace: Pace;
  /** How many milliseconds after an acknowledgement a device that waits may learn of it. */
  readonly wokenWithin: number;
  /**
   * Whether devices append through one server until it fails: then nobody else announces, or finds missing,
   * what that server could not announce.
   */
  readonly stays: boolean;
  /** Aborted at the end of the round. */
  readonly signal: AbortSignal;
}

/** A server that is paused holds a request for that long; then another server gets it. */
const APPEND_WITHIN_MS = 3000;

/** Longer than a server is paused. */
const READ_WITHIN_MS = 15_000;

/** What a server has logged is read by then. */
const LOGGED_WITHIN_MS = 1000;

/** Appends with increasing indexes, alone and in batches, until the round ends. */
export async function write(client: string, surroundings: Surroundings): Promise<void> {
  const { fleet, ledger, random, report, stays, signal } = surroundings;
  const pause = random.of([150, 150, 1000]);
  let last: Server | undefined;
  while (!signal.aborted) {
    const count = random.chance(0.2) ? random.between(2, 12) : 1;
    const first = ledger.count(client);
    const payloads = ledger.next(client, count);
    const body = {
      user: ledger.user,
      client_id: client,
      operation_index: first,
      payload: count === 1 ? payloads[0] : payloads,
      // The operations of others are for those who read.
      sync_status: Object.fromEntries(ledger.clients.map((id) => [id, Number.MAX_SAFE_INTEGER])),
    };
    const begun = performance.now();
    for (;;) {
      const isThere = stays && last !== undefined && fleet.servers.includes(last);
      const server = isThere ? last : anyOf(fleet, random);
      last = server;
      if (server === undefined) {
        await sleep(20);
        continue;
      }
      const sentAt = performance.now();
      const answer = await ask(server, body, AbortSignal.timeout(APPEND_WITHIN_MS));
      if (answer?.status === 200) {
        ledger.acknowledged(client, count, { server: server.id, sentAt, at: performance.now() });
        report.appended(performance.now() - begun);
        break;
      }
      if (answer !== undefined && answer.status < 500) {
        report.fault(`server ${server.id}, client ${client}, index ${first}: ${answer.text}`);
        return;
      }
      last = undefined;
      if (signal.aborted) return;
      await sleep(random.between(5, 50));
    }
    await sleep(random.between(0, pause));
  }
}

/** Polls any server from any point, until the round ends. */
export async function poll(surroundings: Surroundings): Promise<void> {
  const { fleet, random, signal } = surroundings;
  const checks: Promise<void>[] = [];
  while (!signal.aborted) {
    const server = anyOf(fleet, random);
    if (server !== undefined) checks.push((await read(server, surroundings)).checked);
    await sleep(random.between(0, 100));
  }
  await Promise.all(checks);
}

/** Waits for news at any server, again and again, until the round ends. */
export async function waitForNews(surroundings: Surroundings): Promise<void> {
  const { fleet, random, signal } = surroundings;
  const checks: Promise<void>[] = [];
  while (!signal.aborted) {
    const server = anyOf(fleet, random);
    if (server !== undefined) {
      checks.push((await read(server, surroundings, random.between(4, 8))).checked);
    }
    await sleep(random.between(0, 100));
  }
  await Promise.all(checks);
}

/** One read. Resolves to the check of what it has shown, once it is answered. */
async function read(
  server: Server,
  surroundings: Surroundings,
  wait?: number,
): Promise<{ readonly checked: Promise<void> }> {
  const { ledger, random, signal } = surroundings;
  const from = performance.now();
  const vector = new Map<string, number>();
  for (const client of ledger.clients) {
    // One that waits knows all; one that polls, mostly what every server has to know.
    const back = wait === undefined ? random.between(0, 3000) : 0;
    const last = ledger.lastBy(client, from - back);
    if (last >= 0 && (wait !== undefined || random.chance(0.95))) vector.set(client, last);
  }
  const body = {
    user: ledger.user,
    client_id: newClient(),
    sync_status: Object.fromEntries(vector),
  };
  const limit = AbortSignal.timeout(READ_WITHIN_MS + 1000 * (wait ?? 0));
  const ends = wait === undefined ? limit : AbortSignal.any([signal, limit]);
  const answer = await ask(server, body, ends, wait);
  const to = performance.now();
  if (wait !== undefined && signal.aborted) return { checked: Promise.resolve() };
  const asked = { server: server.id, from, to, vector, isWait: wait !== undefined };
  return { checked: check(asked, answer, surroundings) };
}

/** Checks an answer, when the log of the server has come as well. */
async function check(
  asked: Omit<Read, "operations"> & { readonly isWait: boolean },
  answer: Answer | undefined,
  { health, ledger, report, pace, wokenWithin }: Surroundings,
): Promise<void> {
  await sleep(LOGGED_WITHIN_MS);
  const { server, from, to, vector } = asked;
  const place = `server ${server}, user ${ledger.user.slice(60, 68)}`;
  const isUp = health.isUp(server, from, to);
  if (answer?.status !== 200) {
    if (isUp) report.fault(`${place}: a read has failed: ${answer?.text}`);
    return;
  }
  const { operations } = answer;
  for (const fault of ledger.faultsOf({ ...asked, operations })) report.fault(`${place}, ${fault}`);
  const isExact = health.isJoined(server, from, to);
  if (!asked.isWait) {
    report.polled(isExact, isUp ? to - from : 0, server);
    return;
  }
  report.waited(isExact);
  const news = isExact && isUp ? ledger.firstNewsAfter(from, vector) : undefined;
  if (news !== undefined && to - news.at > pace.limit(wokenWithin)) {
    const late = Math.round(to - news.at);
    report.fault(`${place}: a wait was not ended by what ${news.server} stored, ${late} ms late`);
  }
}

/** The answer of a server, or `undefined` where there is none. */
async function ask(
  { process: { url } }: Server,
  body: unknown,
  signal: AbortSignal,
  wait?: number,
): Promise<Answer | undefined> {
  const headers = wait === undefined ? {} : { Prefer: `wait=${wait}` };
  return sync(url, body, headers, signal).catch(() => undefined);
}

function anyOf({ servers }: Fleet, random: Random): Server | undefined {
  const [first, ...others] = servers;
  return first && random.of([first, ...others]);
}
