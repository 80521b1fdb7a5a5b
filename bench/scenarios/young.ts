import { appendLoad } from "../lib/appender.ts";
import type { BenchContext } from "../lib/context.ts";
import { ServerSubject, Subject, type SubjectOptions } from "../lib/interleave.ts";
import type { TimedLoad } from "../lib/load.ts";
import type { HttpProcess } from "../lib/process.ts";
import { atLeast, atMost, type RequestFigures, requestResult, type Target } from "../lib/result.ts";
import type { Experiment, Scenario } from "../lib/scenario.ts";
import { LEAST_RATE_ALONE } from "./append.ts";
import { MOST_CPU, pollLoad } from "./poll.ts";

interface Case {
  readonly work: string;
  readonly startBaseline: () => Promise<HttpProcess>;
  readonly storage: () => string;
  /** A new load, for a process that has none of its operations. */
  readonly load: () => TimedLoad;
  readonly baseline: string;
  readonly targetOf: (ratios: RequestFigures) => Target;
}

function casesOf(context: BenchContext): Case[] {
  const polled = context.folder();
  const { load, work } = pollLoad(context, polled);
  return [
    {
      work,
      startBaseline: () => context.httpBaseline(),
      storage: () => polled,
      load: () => load,
      baseline: "bare HTTP server",
      targetOf: ({ cpu }) => atMost("CPU / baseline", cpu, MOST_CPU),
    },
    {
      work: "append, 1 in flight",
      startBaseline: () => context.groupCommitBaseline(),
      storage: () => context.folder(),
      load: () => appendLoad("different users", 1),
      baseline: "bare HTTP server, group commit",
      targetOf: ({ rate }) => atLeast("rate / baseline", rate, LEAST_RATE_ALONE),
    },
  ];
}

/**
 * The first seconds of a process, which users meet after every restart: code is not compiled yet,
 * and no listing is cached. Each round starts new processes, the baseline as young as the server.
 */
async function firstSeconds(context: BenchContext): Promise<Experiment> {
  const measured = casesOf(context).map((one) => {
    const options = <Process extends HttpProcess>(
      process: () => Promise<Process>,
    ): SubjectOptions<Process> => ({
      process,
      warmUp: async () => undefined,
      sample: (process) => one.load()(process, 2 * context.seconds),
    });
    return {
      ...one,
      bare: new Subject(options(one.startBaseline)),
      server: new ServerSubject(
        `young process: ${one.work}`,
        options(() => context.server(one.storage())),
      ),
    };
  });
  return {
    subjects: measured.flatMap(({ bare, server }) => [bare, server]),
    results: () =>
      measured.map(({ bare, server, baseline, targetOf }) =>
        requestResult(
          { scenario: "young", work: server.work, baseline, storage: server.storage },
          { server: server.samples, baseline: bare.samples },
          (ratios) => [targetOf(ratios)],
        ),
      ),
  };
}

export const young: Scenario = [firstSeconds];
