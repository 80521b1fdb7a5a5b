import { appendLoad, deliveryLoad, type Users } from "../lib/appender.ts";
import type { BenchContext } from "../lib/context.ts";
import { ServerSubject, Subject, type SubjectOptions } from "../lib/interleave.ts";
import { runLoad, type TimedLoad } from "../lib/load.ts";
import type { HttpProcess } from "../lib/process.ts";
import { pollRequest } from "../lib/requests.ts";
import {
  atLeast,
  atMost,
  type RequestFigures,
  type Result,
  requestFigures,
  requestRatios,
  type Target,
} from "../lib/result.ts";
import type { Experiment, Scenario } from "../lib/scenario.ts";
import { userOf } from "../lib/users.ts";

/** The least rate alone, divided by that of the baseline, on every runtime. */
export const LEAST_RATE_ALONE = 0.8;

interface Case {
  readonly work: string;
  /** Where the plot shows it. */
  readonly inFlight?: number;
  readonly isUnlisted?: boolean;
  readonly load: () => TimedLoad;
  readonly targetsOf: (ratios: RequestFigures) => Target[];
}

function casesOf(context: BenchContext): Case[] {
  const leastRate = context.runtime === "deno" ? 0.5 : 0.7;
  const many = (inFlight: number, users: Users): Case => ({
    work: `append, ${inFlight} in flight, ${users}`,
    ...(users === "different users" ? { inFlight } : {}),
    load: () => appendLoad(users, inFlight),
    targetsOf: ({ rate, cpu }) => [
      atLeast("rate / baseline", rate, leastRate),
      atMost("CPU / baseline", cpu, 2),
    ],
  });
  return [
    {
      work: "append, 1 in flight",
      inFlight: 1,
      load: () => appendLoad("different users", 1),
      targetsOf: ({ rate }) => [atLeast("rate / baseline", rate, LEAST_RATE_ALONE)],
    },
    { ...many(4, "different users"), isUnlisted: true },
    many(16, "different users"),
    many(64, "different users"),
    { ...many(16, "one user"), isUnlisted: true },
    many(64, "one user"),
    {
      work: "append, then a poll of another client that gets it",
      load: deliveryLoad,
      targetsOf: ({ p50 }) => [atMost("p50 / baseline", p50, 1.5)],
    },
  ];
}

/**
 * Payloads of 512 bytes into a folder; 1, 4, 16 and 64 in flight, each of another user or each of
 * another client of one user; and how soon another client gets one. The baseline is the bare HTTP
 * server with group commit, which receives the same bytes.
 */
async function appends(context: BenchContext): Promise<Experiment> {
  const bare = await context.groupCommitBaseline();
  const synced = await context.server(context.folder());
  const cases = casesOf(context);
  const warmUp = context.warmUp / cases.length;
  const measured = cases.map((one) => {
    const options = <Process extends HttpProcess>(process: Process): SubjectOptions<Process> => {
      const load = one.load();
      return {
        process,
        warmUp: async (process) => {
          await polls(process, warmUp);
          await load(process, warmUp);
        },
        sample: (process) => load(process, context.seconds),
      };
    };
    const server = new ServerSubject(one.work, options(synced));
    return { ...one, baseline: new Subject(options(bare)), server };
  });
  return {
    subjects: measured.flatMap(({ baseline, server }) => [baseline, server]),
    results: () => {
      const peak = Math.max(...measured.flatMap(({ server }) => server.peaks));
      return measured.map(({ work, inFlight, isUnlisted, baseline, server, targetsOf }): Result => {
        const ratios = requestRatios(server.samples, baseline.samples);
        return {
          scenario: "append",
          work,
          ...(inFlight === undefined ? {} : { inFlight }),
          ...(isUnlisted === undefined ? {} : { isUnlisted }),
          figures: { ...requestFigures(server.samples), peak },
          ratios,
          baseline: "bare HTTP server, group commit",
          storage: server.storage,
          targets: targetsOf(ratios),
          samples: { baseline: baseline.samples, server: server.samples },
        };
      });
    },
  };
}

/**
 * Part of the warm-up. Node compiles code that ran some ten thousand times, and appends take long to
 * get there because of the disk. Polls pass through most of the same code, and are fast.
 */
const polls: TimedLoad = (process, seconds) => {
  const poll = pollRequest(userOf("append", 0), 1);
  return runLoad(process, { connections: 16, seconds, next: () => poll });
};

export const append: Scenario = [appends];
