import { appendersOf, runAppends } from "../lib/appender.ts";
import type { BenchContext } from "../lib/context.ts";
import { ServerSubject } from "../lib/interleave.ts";
import { runLoad } from "../lib/load.ts";
import type { HttpProcess } from "../lib/process.ts";
import { pollRequest } from "../lib/requests.ts";
import { atMost, type Result, requestFigures, requestRatios } from "../lib/result.ts";
import type { Experiment, Scenario } from "../lib/scenario.ts";
import { seedFolder, segments } from "../lib/seed.ts";
import { SEEDER, type User, userOf } from "../lib/users.ts";

const OPERATIONS = [1_000, 100_000];

/** Short, so that many operations are little data: the work may grow, not the bytes. */
const PAYLOAD_BYTES = 32;

/** Several users, so that the appends of the measurement do not make one log much longer. */
const USERS = 4;
const CLIENTS_PER_USER = 4;

/**
 * The same append (16 in flight) and the same poll for users with 1,000 and 100,000 stored operations,
 * on one server. The CPU per request is compared.
 */
async function bySize(context: BenchContext): Promise<Experiment> {
  const storage = context.folder();
  const sizes = OPERATIONS.map((full, index) => {
    const operations = context.size(full);
    const users = Array.from({ length: USERS }, (_, i) => userOf(`growth ${index}`, i));
    for (const user of users) seedFolder(storage, user, segments(user, operations, PAYLOAD_BYTES));
    return { operations, users };
  });
  const process = await context.server(storage, { COMPACTION: "off" });
  const subject = (
    kind: "append" | "poll",
    operations: number,
    load: (process: HttpProcess, seconds: number) => ReturnType<typeof runLoad>,
  ) => {
    const work = `${kind}, ${operations.toLocaleString("en")} operations stored`;
    const server = new ServerSubject(work, {
      process,
      // Equally long for all: the first thousand files of a folder take a file system several times longer.
      warmUp: (process) => load(process, context.warmUp),
      sample: (process) => load(process, context.seconds / 2),
    });
    return { kind, operations, server };
  };
  const measured = sizes.flatMap(({ operations, users }) => [
    subject("append", operations, appends(users)),
    subject("poll", operations, polls(users, operations)),
  ]);
  return {
    subjects: measured.map(({ server }) => server),
    results: () => {
      const peak = Math.max(...measured.flatMap(({ server }) => server.peaks));
      return measured.flatMap(({ kind, server }): Result[] => {
        const smallest = measured.find((other) => other.kind === kind);
        if (smallest === undefined || smallest.server === server) return [];
        const ratios = requestRatios(server.samples, smallest.server.samples);
        return [
          {
            scenario: "growth",
            work: server.work,
            figures: { ...requestFigures(server.samples), peak },
            ratios,
            baseline: `the same at ${smallest.operations.toLocaleString("en")}`,
            targets: [atMost("CPU / the same at the smallest size", ratios.cpu, 1.1)],
            storage: server.storage,
            samples: { server: server.samples },
          },
        ];
      });
    },
  };
}

function appends(users: readonly User[]) {
  const appenders = users.flatMap((user) => appendersOf(user, CLIENTS_PER_USER, [SEEDER]));
  return (process: HttpProcess, seconds: number) => runAppends(process, appenders, seconds);
}

function polls(users: readonly User[], operations: number) {
  const requests = users.map((user) => pollRequest(user, operations, CLIENTS_PER_USER));
  return (process: HttpProcess, seconds: number) =>
    runLoad(process, {
      connections: USERS * CLIENTS_PER_USER,
      seconds,
      next: (connection) => requests[connection % USERS] ?? Buffer.of(),
    });
}

export const growth: Scenario = [bySize];
