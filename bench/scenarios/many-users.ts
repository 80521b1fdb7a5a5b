import { randomInt } from "node:crypto";
import type { BenchContext } from "../lib/context.ts";
import { ServerSubject, Subject } from "../lib/interleave.ts";
import { runLoad } from "../lib/load.ts";
import type { HttpProcess } from "../lib/process.ts";
import { pollRequest } from "../lib/requests.ts";
import { atMost, exactly, requestFigures, requestRatios } from "../lib/result.ts";
import type { Experiment, Scenario } from "../lib/scenario.ts";
import { seedFolder, segments } from "../lib/seed.ts";
import { userOf } from "../lib/users.ts";

const CONNECTIONS = 64;
const OPERATIONS = 10;
const PAYLOAD_BYTES = 32;

/**
 * 100,000 users with 10 operations each, in one segment; random polls without news over 64
 * connections. The listing cache holds half as many runs as there are users, which is about a tenth
 * of the listings. The targets are counts: one listing for each miss, and a cache within its bound.
 * The baseline is the bare HTTP server, which receives the same bytes.
 */
async function randomPolls(context: BenchContext): Promise<Experiment> {
  const count = context.size(100_000);
  const cacheRuns = Math.ceil(count / 2);
  const storage = context.folder();
  const requests = Array.from({ length: count }, (_, number) => {
    const user = userOf("many", number);
    seedFolder(storage, user, segments(user, OPERATIONS, PAYLOAD_BYTES));
    return pollRequest(user, OPERATIONS);
  });
  const next = () => requests[randomInt(count)] ?? Buffer.of();
  const load = (process: HttpProcess, seconds: number) =>
    runLoad(process, { connections: CONNECTIONS, seconds, next });

  const baseline = new Subject({
    process: await context.httpBaseline(),
    warmUp: (process) => load(process, context.warmUp / 4),
    sample: (process) => load(process, context.seconds),
  });
  const work = `polls of ${count.toLocaleString("en")} users at random`;
  const server = new ServerSubject(work, {
    process: await context.server(storage, { LISTING_CACHE_RUNS: String(cacheRuns) }),
    warmUp: (process) => load(process, context.warmUp),
    sample: (process) => load(process, context.seconds),
  });
  return {
    subjects: [baseline, server],
    results: () => {
      const polls = server.samples.reduce((sum, { requests }) => sum + requests, 0);
      const misses = server.listingLoads;
      return [
        {
          scenario: "many-users",
          work: `${work}, ${Math.round((misses / polls) * 100)} % misses`,
          figures: { ...requestFigures(server.samples), peak: Math.max(...server.peaks) },
          ratios: requestRatios(server.samples, baseline.samples),
          baseline: "bare HTTP server",
          storage: server.storage,
          targets: [
            exactly("listings / miss", server.storage.list / misses, 1),
            atMost("runs cached / bound", server.cachedRuns / cacheRuns, 1),
          ],
          samples: { baseline: baseline.samples, server: server.samples },
        },
      ];
    },
  };
}

export const manyUsers: Scenario = [randomPolls];
