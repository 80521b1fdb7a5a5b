import type { BenchContext } from "../lib/context.ts";
import { ServerSubject, Subject } from "../lib/interleave.ts";
import { lineLoad } from "../lib/line.ts";
import { onS3 } from "../lib/on-s3.ts";
import { hasRedis } from "../lib/redis.ts";
import {
  atMost,
  exactly,
  requestFigures,
  requestRatios,
  requestResult,
  skippedResult,
} from "../lib/result.ts";
import type { Experiment, Scenario } from "../lib/scenario.ts";
import { userOf } from "../lib/users.ts";
import { FOR_WAITING } from "../lib/waiting.ts";
import { pollLoad } from "./poll.ts";

const SCENARIO = "cluster";

/** Starts two servers on one storage that are a cluster. Neither is the first that joins it. */
async function twoServers(context: BenchContext, storage: string) {
  const { url } = await context.redis();
  const settings = { ...FOR_WAITING, CLUSTER: url };
  return [
    await context.server(storage, settings),
    await context.server(storage, settings),
  ] as const;
}

/**
 * One device appends at one server, and another one waits for it at the other. The baseline is one
 * server without a cluster, at which both are, with the same storage.
 */
async function appendToLine(
  context: BenchContext,
  storage: string,
  on: string,
): Promise<Experiment> {
  const [near, far] = await twoServers(context, storage);
  const lone = await context.server(storage, FOR_WAITING);
  const [through, alone] = [lineLoad(userOf("cluster", 0)), lineLoad(userOf("cluster", 1))];
  const baseline = new Subject({
    process: lone,
    warmUp: (process) => alone(process, context.warmUp),
    sample: async (process) => (await alone(process, context.seconds)).line,
  });
  const server = new ServerSubject(
    `${on}append at one server, until its line is at a device that waits at another`,
    {
      process: near,
      warmUp: (process) => through(process, context.warmUp, far),
      sample: async (process) => (await through(process, context.seconds, far)).line,
    },
  );
  return {
    subjects: [baseline, server],
    results: () => {
      const { p50, p99 } = requestRatios(server.samples, baseline.samples);
      const figures = requestFigures(server.samples);
      return [
        {
          scenario: SCENARIO,
          work: server.work,
          figures: { p50: figures.p50, p99: figures.p99 },
          ratios: { p50, p99 },
          baseline: "one server",
          storage: server.storage,
          targets: [atMost("p50 / one server", p50, 2)],
          samples: { baseline: baseline.samples, server: server.samples },
        },
      ];
    },
  };
}

/** Polls at one of two servers. The baseline is a server without a cluster. */
async function polls(context: BenchContext): Promise<Experiment> {
  const [storage, other] = [context.folder(), context.folder()];
  const { load, work } = pollLoad(context, storage);
  pollLoad(context, other);
  const [clustered] = await twoServers(context, storage);
  const baseline = new Subject({
    process: await context.server(other, FOR_WAITING),
    warmUp: (process) => load(process, context.warmUp),
    sample: (process) => load(process, context.seconds),
  });
  const server = new ServerSubject(`${work}, with Redis`, {
    process: clustered,
    warmUp: (process) => load(process, context.warmUp),
    sample: (process) => load(process, context.seconds),
  });
  return {
    subjects: [baseline, server],
    results: () => [
      requestResult(
        {
          scenario: SCENARIO,
          work: server.work,
          baseline: "the same without Redis",
          storage: server.storage,
        },
        { server: server.samples, baseline: baseline.samples },
        ({ cpu }) => [atMost("CPU / baseline", cpu, 1.3), exactly("LIST", server.storage.list, 0)],
      ),
    ],
  };
}

function withRedis(work: string, prepare: Scenario[number]): Scenario[number] {
  return async (context) => {
    if (hasRedis()) return prepare(context);
    const why = "no `redis-server` in PATH, such as of Debian's package";
    return { subjects: [], results: () => [skippedResult(SCENARIO, work, why)] };
  };
}

/** Two servers and Redis, beside one server. */
export const cluster: Scenario = [
  withRedis("append, until its line is at another server", (context) =>
    appendToLine(context, context.folder(), ""),
  ),
  withRedis(
    "the same on S3",
    onS3(SCENARIO, (context, storage) => appendToLine(context, storage, "S3: ")),
  ),
  withRedis("polls", polls),
];
