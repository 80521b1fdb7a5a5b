import type { Ground } from "../lib/context.ts";
import type { Slot } from "../lib/figures.ts";
import { against, cpu } from "../lib/figures.ts";
import { connected, loaded } from "../lib/load.ts";
import type { Program } from "../lib/program.ts";
import {
  atMost,
  between,
  NOTHING,
  plus,
  type Result,
  requestFigures,
  requestRatios,
} from "../lib/result.ts";
import { SEEDER, seedFolder, segments, type User, userOf } from "../lib/seed.ts";
import { appendedBy, appendersOf } from "./append.ts";
import { pollOf } from "./poll.ts";

const OPERATIONS = [1_000, 10_000, 100_000];

/** Short, so that many operations are little data: what may grow is the work, not the bytes. */
const PAYLOAD_BYTES = 32;

/** Spread over users, so that what is appended while measuring does not make a log much longer. */
const USERS = 4;
const CLIENTS_PER_USER = 4;

/**
 * The same append (16 in flight) and the same poll for users with 1,000, 10,000 and 100,000 stored
 * operations, on one server. What is compared is the CPU per request; the sizes take turns.
 */
export async function growth(ground: Ground): Promise<Result[]> {
  const storage = ground.folder();
  const sizes = OPERATIONS.map((full) => ground.size(full)).map((operations, at) => {
    const users = Array.from({ length: USERS }, (_, i) => userOf(`growth ${at}`, i));
    for (const user of users) seedFolder(storage, user, segments(user, operations, PAYLOAD_BYTES));
    return { operations, users };
  });
  const server = await ground.server(storage, { COMPACTION: "off" });
  const lines = sizes.flatMap(({ operations, users }) => [
    { work: "append", operations, load: appends(server, users), ...noSlots() },
    { work: "poll", operations, load: polls(server, users, operations), ...noSlots() },
  ]);
  server.restPeak();
  // Each for as long: the first thousand files of a folder cost the file system several times more.
  for (const { load } of lines) await load(ground.warmUp);
  for (let round = 0; round < ground.rounds; round++) {
    // Back and forth, so that none is always the first.
    for (const line of round % 2 === 0 ? lines : lines.toReversed()) {
      const before = await server.counters();
      line.slots.push(await line.load(ground.seconds / 2));
      line.storage = plus(line.storage, between(before, await server.counters()));
    }
  }
  const peak = server.peak();
  return lines.map(({ work, operations, slots, storage }): Result => {
    const least = lines.find((line) => line.work === work);
    const isLeast = least === undefined || least.operations === operations;
    const ratio = against(slots, least?.slots ?? [], cpu);
    return {
      row: "growth",
      work: `${work}, ${operations.toLocaleString("en")} operations stored`,
      figures: { ...requestFigures(slots), peak },
      ratios: isLeast ? {} : requestRatios(slots, least.slots),
      ...(isLeast ? {} : { floor: `the same at ${least.operations.toLocaleString("en")}` }),
      storage,
      checks: isLeast ? [] : [atMost("CPU / the same at the least", ratio, 1.2)],
      rounds: { server: slots },
    };
  });
}

function noSlots(): { slots: Slot[]; storage: typeof NOTHING } {
  return { slots: [], storage: NOTHING };
}

function appends(server: Program, users: readonly User[]) {
  const appenders = users.flatMap((user) => appendersOf(user, CLIENTS_PER_USER, [SEEDER]));
  return (seconds: number) => appendedBy(appenders, server, seconds);
}

function polls(server: Program, users: readonly User[], operations: number) {
  // What the load itself has appended is not asked for either.
  const requests = users.map((user) => pollOf(user, operations, CLIENTS_PER_USER));
  return (seconds: number) =>
    connected(server, USERS * CLIENTS_PER_USER, (connections) =>
      loaded(server, connections, seconds, (i) => requests[i % USERS] ?? Buffer.of()),
    );
}
