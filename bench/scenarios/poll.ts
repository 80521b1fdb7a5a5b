import type { BenchContext } from "../lib/context.ts";
import { ServerSubject, Subject } from "../lib/interleave.ts";
import { runLoad, type TimedLoad } from "../lib/load.ts";
import { pollRequest } from "../lib/requests.ts";
import { atMost, peakRatio, requestFigures, requestRatios } from "../lib/result.ts";
import type { Experiment, Scenario } from "../lib/scenario.ts";
import { seedFolder, segments } from "../lib/seed.ts";
import { userOf } from "../lib/users.ts";

const CONNECTIONS = 64;
const LISTING_TTL_SECONDS = 30;

/** The most CPU a poll may take, divided by that of the baseline. */
export const MOST_CPU = 1.5;

/** Polls without news, of one user with 10,000 operations, which go into a storage folder first. */
export function pollLoad(context: BenchContext, storage: string) {
  const operations = context.size(10_000);
  const user = userOf("poll", 0);
  seedFolder(storage, user, segments(user, operations));
  const request = pollRequest(user, operations);
  const load: TimedLoad = (process, seconds) =>
    runLoad(process, { connections: CONNECTIONS, seconds, next: () => request });
  const work = `poll, ${operations.toLocaleString("en")} operations stored, ${CONNECTIONS} connections`;
  return { load, work };
}

/**
 * Polls without news over 64 connections, of one user with 10,000 operations. The baseline is the
 * bare HTTP server, which receives the same bytes. The listing is cached, so storage is asked only
 * when LISTING_TTL expires during the measurement.
 */
async function pollOneUser(context: BenchContext): Promise<Experiment> {
  const storage = context.folder();
  const { load, work } = pollLoad(context, storage);
  const baseline = new Subject({
    process: await context.httpBaseline(),
    warmUp: (process) => load(process, context.warmUp / 4),
    sample: (process) => load(process, context.seconds),
  });
  const server = new ServerSubject(work, {
    process: await context.server(storage, { LISTING_TTL: `${LISTING_TTL_SECONDS}s` }),
    warmUp: (process) => load(process, context.warmUp),
    sample: (process) => load(process, context.seconds),
  });
  return {
    subjects: [baseline, server],
    results: (seconds) => {
      const ratios = requestRatios(server.samples, baseline.samples);
      const peak = Math.max(...server.peaks);
      const { list, get } = server.storage;
      return [
        {
          scenario: "poll",
          work,
          figures: { ...requestFigures(server.samples), peak },
          ratios: { ...ratios, ...peakRatio(peak, Math.max(...baseline.peaks)) },
          baseline: "bare HTTP server",
          storage: server.storage,
          targets: [
            atMost("CPU / baseline", ratios.cpu, MOST_CPU),
            atMost("storage requests", list + get, Math.floor(seconds / LISTING_TTL_SECONDS)),
          ],
          samples: { baseline: baseline.samples, server: server.samples },
        },
      ];
    },
  };
}

export const poll: Scenario = [pollOneUser];
