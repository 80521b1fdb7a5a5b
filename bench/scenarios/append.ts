import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { syncRequest } from "../lib/connection.ts";
import type { Ground } from "../lib/context.ts";
import { againstBoth, cpu, type Slot } from "../lib/figures.ts";
import { bareFiles, connected, loaded } from "../lib/load.ts";
import type { Program } from "../lib/program.ts";
import {
  atLeast,
  atMost,
  between,
  type Check,
  NOTHING,
  plus,
  type Result,
  requestFigures,
  requestRatios,
} from "../lib/result.ts";
import { clientOf, PAYLOAD_BYTES, payloadOf, type User, userOf } from "../lib/seed.ts";
import { pollOf } from "./poll.ts";

const IN_FLIGHT = [1, 16, 64];

/** A client that appends one operation after the other. */
export class Appender {
  readonly #user: User;
  readonly #client: string;
  /** So far that nothing comes back: what the others of the user append is not to be measured. */
  readonly #aware: Readonly<Record<string, number>>;
  #index = 0;

  /** @param others the other clients of the user */
  constructor(user: User, client: string, others: readonly string[] = []) {
    this.#user = user;
    this.#client = client;
    this.#aware = Object.fromEntries(others.map((other) => [other, Number.MAX_SAFE_INTEGER]));
  }

  next(): Buffer {
    const index = this.#index++;
    return syncRequest(
      JSON.stringify({
        client_id: this.#client,
        operation_index: index,
        sync_status: this.#aware,
        payload: payloadOf(index, PAYLOAD_BYTES),
        user: this.#user.key,
      }),
    );
  }
}

/** Clients of one user, which know of each other. */
export function appendersOf(user: User, count: number, others: readonly string[] = []): Appender[] {
  const clients = Array.from({ length: count }, (_, i) => clientOf(i + 1));
  return clients.map((client) => {
    const known = clients.filter((other) => other !== client);
    return new Appender(user, client, [...known, ...others]);
  });
}

/** With compaction beside it, as a server is started, or without: then only for comparison. */
type Compaction = "on" | "off";

class Case {
  readonly slots: { http: Slot[]; files: Slot[]; server: Slot[] } = {
    http: [],
    files: [],
    server: [],
  };
  storage = NOTHING;
  readonly inFlight: number;
  readonly users: "different users" | "one user";
  readonly compaction: Compaction;

  constructor(inFlight: number, users: Case["users"], compaction: Compaction) {
    this.inFlight = inFlight;
    this.users = users;
    this.compaction = compaction;
  }

  get folders(): number {
    return this.users === "one user" ? 1 : this.inFlight;
  }

  /** The clients that send what is in flight. They go on where they were; each program has its own. */
  appenders(): Appender[] {
    if (this.users === "one user") {
      return appendersOf(userOf("append one", this.inFlight), this.inFlight);
    }
    return Array.from({ length: this.inFlight }, (_, i) => {
      return new Appender(userOf(`append ${this.inFlight}`, i), clientOf(1));
    });
  }

  result(peak: number): Result {
    const { http, files, server } = this.slots;
    const ratios = {
      ...requestRatios(server, files),
      // Both parts of the work, the request and the file, in each round.
      cpu: againstBoth(server, [http, files], cpu),
    };
    const alone = this.compaction === "off";
    const checks: Check[] = [];
    if (!alone) checks.push(atMost("CPU / floor", ratios.cpu, 2));
    if (!alone && this.inFlight > 1) checks.push(atLeast("rate / floor", ratios.rate, 0.8));
    const work = `${this.inFlight} in flight, ${this.users}`;
    return {
      row: "append",
      work: alone ? `for comparison: without compaction, ${work}` : `append, ${work}`,
      figures: { ...requestFigures(server), peak },
      ratios,
      floor: "bare files; for CPU, bare HTTP server + bare files",
      storage: this.storage,
      checks,
      rounds: this.slots,
    };
  }
}

/**
 * Payloads of 512 bytes into a folder; 1, 16 and 64 in flight; each of a user of its own, or each of
 * another client of one user. The floors are bare files (create, fsync, rename, fsync of the folder;
 * as many in flight, as many folders), and for CPU also the bare HTTP server with the same bytes.
 * Beside them, append and fdatasync to one file with group commit; and before them, where compaction
 * has deleted nothing yet, the same without compaction.
 */
export async function append(ground: Ground): Promise<Result[]> {
  const alone = await appends(ground, [16, 64], "off");
  const results = await appends(ground, IN_FLIGHT, "on");
  return [...results, ...alone, ...(await groupCommits(ground))];
}

async function appends(
  ground: Ground,
  inFlights: readonly number[],
  compaction: Compaction,
): Promise<Result[]> {
  const http = await ground.httpFloor();
  const files = await ground.filesFloor();
  const server = await ground.server(ground.folder(), { COMPACTION: compaction });
  const scratch = ground.folder();
  let used = 0;
  const bare = (inFlight: number, folders: number, seconds: number) => {
    const folder = join(scratch, String(used++));
    mkdirSync(folder);
    const task = { folder, folders, inFlight, bytes: PAYLOAD_BYTES, seconds };
    return bareFiles(files, { work: "objects", ...task });
  };
  const cases = inFlights.flatMap((inFlight) => [
    new Case(inFlight, "different users", compaction),
    new Case(inFlight, "one user", compaction),
  ]);
  const loads = cases.map((one) => {
    const [toHttp, toServer] = [one.appenders(), one.appenders()];
    return {
      one,
      http: (seconds: number) => appendedBy(toHttp, http, seconds),
      files: (seconds: number) => bare(one.inFlight, one.folders, seconds),
      server: (seconds: number) => appendedBy(toServer, server, seconds),
    };
  });

  server.restPeak();
  // Node compiles what has run some ten thousand times, and a disk lets so many appends through only
  // in a long while. Polls pass through most of the same code, and are fast.
  const poll = pollOf(userOf("append", 0), 1);
  await connected(server, Math.max(...inFlights), (connections) =>
    loaded(server, connections, ground.warmUp, () => poll),
  );
  for (const load of loads) {
    await load.http(ground.warmUp / 4 / loads.length);
    await load.files(ground.warmUp / 4 / loads.length);
    await load.server((2 * ground.warmUp) / loads.length);
  }
  for (let round = 0; round < ground.rounds; round++) {
    for (const { one, ...load } of loads) {
      one.slots.http.push(await load.http(ground.seconds / 2));
      one.slots.files.push(await load.files(ground.seconds));
      const before = await server.counters();
      one.slots.server.push(await load.server(ground.seconds));
      one.storage = plus(one.storage, between(before, await server.counters()));
    }
  }
  const peak = server.peak();
  await ground.stop();
  return cases.map((one) => one.result(peak));
}

/** What storage of one file for all could reach. */
async function groupCommits(ground: Ground): Promise<Result[]> {
  const files = await ground.filesFloor();
  const results: Result[] = [];
  for (const inFlight of IN_FLIGHT) {
    const slots: Slot[] = [];
    for (let round = 0; round < ground.rounds; round++) {
      const task = { folder: ground.folder(), folders: 1, inFlight, bytes: PAYLOAD_BYTES };
      const seconds = ground.seconds / 2;
      slots.push(await bareFiles(files, { work: "append", ...task, seconds }));
    }
    results.push({
      row: "append",
      work: `for comparison: append + fdatasync to one file, group commit, ${inFlight} in flight`,
      figures: requestFigures(slots),
      ratios: {},
      checks: [],
      rounds: { files: slots },
    });
  }
  return results;
}

/** Has each client append over a connection of its own. */
export function appendedBy(
  appenders: readonly Appender[],
  program: Program,
  seconds: number,
): Promise<Slot> {
  return connected(program, appenders.length, (connections) =>
    loaded(program, connections, seconds, (i) => appenders[i]?.next() ?? Buffer.of()),
  );
}
