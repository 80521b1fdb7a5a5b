import type { BenchContext } from "../lib/context.ts";
import { Subject } from "../lib/interleave.ts";
import { atLeast, exactly, type Result } from "../lib/result.ts";
import { cpu, medianRatio, p50, throughput } from "../lib/sample.ts";
import type { Experiment, Scenario } from "../lib/scenario.ts";
import { batchCount, uploadFigures, uploading, uploadSubject } from "../lib/upload.ts";

/**
 * 100,000 operations of 512 bytes in batches of 500, by one client, into a folder. The baseline is
 * the bare HTTP server with group commit, which parses the same batches, and appends and syncs each.
 */
async function upload(context: BenchContext): Promise<Experiment> {
  const baseline = new Subject(uploading(context, await context.groupCommitBaseline()));
  const server = await uploadSubject(context, context.folder());
  return {
    subjects: [baseline, server],
    results: (): Result[] => {
      const puts = server.storage.put / server.samples.length;
      const ratios = {
        cpu: medianRatio(cpu, server.samples, baseline.samples),
        throughput: medianRatio(throughput, server.samples, baseline.samples),
        p50: medianRatio(p50, server.samples, baseline.samples),
      };
      return [
        {
          scenario: "bulk-upload",
          work: server.work,
          figures: uploadFigures(server),
          ratios,
          baseline: "bare HTTP server, group commit",
          storage: server.storage,
          targets: [
            exactly("puts", puts, batchCount(context)),
            atLeast("MB/s / baseline", ratios.throughput, 0.5),
          ],
          samples: { baseline: baseline.samples, server: server.samples },
        },
      ];
    },
  };
}

export const bulkUpload: Scenario = [upload];
