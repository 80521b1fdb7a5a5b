import { join } from "node:path";
import type { BenchContext } from "../lib/context.ts";
import { ServerSubject, Subject } from "../lib/interleave.ts";
import { sendAll } from "../lib/load.ts";
import { fileRequest, firstSyncRequest } from "../lib/requests.ts";
import { atLeast, atMost, peakRatio, transferFigures, transferRatios } from "../lib/result.ts";
import { median, type Sample } from "../lib/sample.ts";
import type { Experiment, Scenario } from "../lib/scenario.ts";
import { seedFolder, segments, singleObjects } from "../lib/seed.ts";
import { warmUpFileRequests, warmUpLog, writeResponse } from "../lib/transfer.ts";
import { userOf } from "../lib/users.ts";

/**
 * A new device reads a whole log, in segments of 1 MiB. The baseline is the bare HTTP server, which
 * streams one file of the same bytes. Both start anew for each round.
 */
async function compacted(context: BenchContext, full: number): Promise<Experiment> {
  const operations = context.size(full);
  const user = userOf("first sync", full);
  const folder = context.folder();
  const storage = join(folder, "storage");
  seedFolder(storage, user, segments(user, operations));
  seedFolder(storage, warmUpLog.user, warmUpLog.objects());
  const response = join(folder, "response");
  const small = join(folder, "small");
  writeResponse(response, operations);
  writeResponse(small, warmUpLog.operations);

  const work = `first sync, ${operations.toLocaleString("en")} operations, compacted`;
  const baseline = new Subject({
    process: () => context.httpBaseline(),
    warmUp: (process) => sendAll(process, warmUpFileRequests(small)),
    sample: (process) => sendAll(process, [fileRequest(response)]),
  });
  const server = new ServerSubject(work, {
    process: () => context.server(storage),
    warmUp: (process) => sendAll(process, warmUpLog.requests),
    sample: (process) => sendAll(process, [firstSyncRequest(user)]),
  });
  return {
    subjects: [baseline, server],
    results: () => {
      requireSameBytes(server.samples, baseline.samples);
      const peak = median(server.peaks);
      const figures = transferFigures(server.samples);
      const ratios = transferRatios(server.samples, baseline.samples);
      return [
        {
          scenario: "first-sync",
          work,
          figures: { ...figures, peak },
          ratios: { ...ratios, ...peakRatio(peak, median(baseline.peaks)) },
          baseline: "bare HTTP server, one file",
          storage: server.storage,
          targets: [
            atLeast("MB/s / baseline", ratios.throughput, 0.5),
            atMost("first byte, ms", figures.firstByte, 10),
            atMost("peak, MB", peak, 64),
          ],
          samples: { baseline: baseline.samples, server: server.samples },
        },
      ];
    },
  };
}

/**
 * The same with 10,000 objects of one operation each. The baseline reads those files, 32 at a time,
 * and sends nothing.
 */
async function singles(context: BenchContext): Promise<Experiment> {
  const operations = context.size(10_000);
  const user = userOf("not compacted", 0);
  const storage = context.folder();
  seedFolder(storage, user, singleObjects(user, operations));
  seedFolder(storage, warmUpLog.user, singleObjects(warmUpLog.user, warmUpLog.operations));

  const files = await context.fileBaseline();
  const read = (fingerprint: string) => files.read(join(storage, fingerprint));
  const work = `first sync, ${operations.toLocaleString("en")} operations, not compacted`;
  const baseline = new Subject({
    process: files,
    warmUp: async () => {
      for (const _ of warmUpLog.requests) await read(warmUpLog.user.fingerprint);
    },
    sample: () => read(user.fingerprint),
  });
  const server = new ServerSubject(work, {
    process: () => context.server(storage, { COMPACTION: "off" }),
    warmUp: (process) => sendAll(process, warmUpLog.requests),
    sample: (process) => sendAll(process, [firstSyncRequest(user)]),
  });
  return {
    subjects: [baseline, server],
    results: () => {
      const { cpu, p50 } = transferRatios(server.samples, baseline.samples);
      return [
        {
          scenario: "not-compacted",
          work,
          figures: { ...transferFigures(server.samples), peak: median(server.peaks) },
          ratios: { cpu, p50 },
          baseline: "bare files, read",
          storage: server.storage,
          targets: [atMost("time / baseline", p50, 2)],
          samples: { baseline: baseline.samples, server: server.samples },
        },
      ];
    },
  };
}

/** The comparison is valid only if the baseline sent as many bytes as the server. */
function requireSameBytes(server: readonly Sample[], baseline: readonly Sample[]): void {
  for (const [round, { megabytes }] of server.entries()) {
    const other = baseline[round]?.megabytes;
    if (megabytes === other) continue;
    throw new Error(`the server sent ${megabytes} MB, the baseline ${other}`);
  }
}

export const firstSync: Scenario = [(context) => compacted(context, 100_000)];

export const notCompacted: Scenario = [singles];
