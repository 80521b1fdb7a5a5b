import { appendLoad, type Users } from "../lib/appender.ts";
import type { BenchContext } from "../lib/context.ts";
import { ServerSubject, Subject } from "../lib/interleave.ts";
import type { HttpProcess } from "../lib/process.ts";
import { atMost, requestResult } from "../lib/result.ts";
import type { Experiment, Scenario } from "../lib/scenario.ts";

const IN_FLIGHT = 16;
const USERS: readonly Users[] = ["different users", "one user"];

/**
 * Appends of 512 bytes with `STORAGE=memory:`: what the server itself costs. The baseline is the bare
 * HTTP server, which parses the same bytes.
 */
async function inMemory(context: BenchContext): Promise<Experiment> {
  const bare = await context.httpBaseline();
  const synced = await context.server("memory:", { COMPACTION: "off" });
  const measured = USERS.map((users) => ({
    users,
    baseline: new Subject(subject(context, bare, users)),
    server: new ServerSubject(
      `append in memory, ${IN_FLIGHT} in flight, ${users}`,
      subject(context, synced, users),
    ),
  }));
  return {
    subjects: measured.flatMap(({ baseline, server }) => [baseline, server]),
    results: () =>
      measured.map(({ users, baseline, server }) => ({
        ...requestResult(
          { scenario: "memory", work: server.work, baseline: "bare HTTP server" },
          { server: server.samples, baseline: baseline.samples },
          ({ cpu }) => [atMost("CPU / baseline", cpu, 2)],
        ),
        isUnlisted: users === "one user",
      })),
  };
}

function subject<Process extends HttpProcess>(
  context: BenchContext,
  process: Process,
  users: Users,
) {
  const load = appendLoad(users, IN_FLIGHT);
  return {
    process,
    warmUp: (process: Process) => load(process, context.warmUp),
    sample: (process: Process) => load(process, context.seconds),
  };
}

export const memory: Scenario = [inMemory];
