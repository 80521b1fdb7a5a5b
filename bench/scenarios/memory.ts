import { AppendingClient, appendersOf, runAppends } from "../lib/appender.ts";
import type { BenchContext } from "../lib/context.ts";
import { ServerSubject, Subject, type SubjectOptions } from "../lib/interleave.ts";
import { runLoad } from "../lib/load.ts";
import type { HttpProcess } from "../lib/process.ts";
import { pollRequest } from "../lib/requests.ts";
import { atMost, requestFigures, requestRatios } from "../lib/result.ts";
import type { Sample } from "../lib/sample.ts";
import type { Experiment, Scenario } from "../lib/scenario.ts";
import { clientOf, userOf } from "../lib/users.ts";

const IN_FLIGHT = 16;

type Load = (process: HttpProcess, seconds: number) => Promise<Sample>;

interface Work {
  readonly name: string;
  /** CPU / baseline at most. */
  readonly target: number;
  /** A new load, for a process that has nothing stored. */
  readonly load: () => Load;
}

const user = userOf("memory", 0);

const WORKS: readonly Work[] = [
  {
    name: "poll",
    target: 1.5,
    load: () => {
      const request = pollRequest(user, 1);
      return (process, seconds) =>
        runLoad(process, { connections: IN_FLIGHT, seconds, next: () => request });
    },
  },
  {
    name: "append, different users",
    target: 2,
    load: () => {
      const clients = Array.from(
        { length: IN_FLIGHT },
        (_, i) => new AppendingClient(userOf("memory append", i), clientOf(1)),
      );
      return (process, seconds) => runAppends(process, clients, seconds);
    },
  },
  {
    name: "append, one user",
    target: 2,
    load: () => {
      const clients = appendersOf(user, IN_FLIGHT);
      return (process, seconds) => runAppends(process, clients, seconds);
    },
  },
];

/** How a process is measured: running and warmed up, or a new one in each round, from its start. */
async function optionsOf<Process extends HttpProcess>(
  { seconds, warmUp }: BenchContext,
  young: boolean,
  start: () => Promise<Process>,
  load: () => Load,
): Promise<SubjectOptions<Process>> {
  if (young) {
    return {
      process: start,
      warmUp: async () => undefined,
      sample: (process) => load()(process, 2 * seconds),
    };
  }
  const run = load();
  return {
    process: await start(),
    warmUp: (process) => run(process, 2 * warmUp),
    sample: (process) => run(process, seconds),
  };
}

/**
 * Polls and appends of 512 bytes, 16 in flight, with `STORAGE=memory:`: what the server itself costs.
 * The baseline is the bare HTTP server, which parses the same bytes.
 */
async function inMemory(context: BenchContext, young: boolean): Promise<Experiment> {
  const measured = await Promise.all(
    WORKS.map(async ({ name, target, load }) => {
      const work = `${name}, ${IN_FLIGHT} in flight, in memory, ${young ? "young" : "warm"} process`;
      const startBaseline = () => context.httpBaseline();
      const startServer = () => context.server("memory:", { COMPACTION: "off" });
      return {
        target,
        baseline: new Subject(await optionsOf(context, young, startBaseline, load)),
        server: new ServerSubject(work, await optionsOf(context, young, startServer, load)),
      };
    }),
  );
  return {
    subjects: measured.flatMap(({ baseline, server }) => [baseline, server]),
    results: () =>
      measured.map(({ target, baseline, server }) => {
        const ratios = requestRatios(server.samples, baseline.samples);
        return {
          scenario: "memory",
          work: server.work,
          figures: requestFigures(server.samples),
          ratios,
          baseline: "bare HTTP server",
          targets: [atMost("CPU / baseline", ratios.cpu, target)],
          samples: { baseline: baseline.samples, server: server.samples },
        };
      }),
  };
}

export const memory: Scenario = [
  (context) => inMemory(context, true),
  (context) => inMemory(context, false),
];
