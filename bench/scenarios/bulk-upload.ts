import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BenchContext } from "../lib/context.ts";
import { Subject } from "../lib/interleave.ts";
import { sendAll } from "../lib/load.ts";
import { fileRequest } from "../lib/requests.ts";
import { atLeast, exactly, type Result } from "../lib/result.ts";
import { cpu, medianOf, medianRatio, p50, throughput } from "../lib/sample.ts";
import type { Experiment, Scenario } from "../lib/scenario.ts";
import { PAYLOAD_BYTES } from "../lib/seed.ts";
import { warmUpFileRequests } from "../lib/transfer.ts";
import {
  BATCH,
  batchCount,
  megabytesOf,
  uploadFigures,
  uploadOf,
  uploadSubject,
  warmUpUpload,
} from "../lib/upload.ts";

/** An operation in a segment: the payload and the rest of its line. */
const LINE_BYTES = PAYLOAD_BYTES + 90;

/**
 * 100,000 operations of 512 bytes in batches of 500, by one client, into a folder. The baseline is
 * the bare HTTP server, which streams one file of the same bytes. Beside it stands the minimum for
 * each batch: the bare HTTP server parses it, and a bare file of its size is created.
 */
async function upload(context: BenchContext): Promise<Experiment> {
  const folder = context.folder();
  const file = join(folder, "upload");
  const small = join(folder, "small");
  writeFileSync(file, Buffer.alloc(Math.round(megabytesOf(uploadOf(context, 0)) * 1e6), "x"));
  writeFileSync(small, Buffer.alloc(BATCH * PAYLOAD_BYTES, "x"));

  const http = await context.httpBaseline();
  const server = await uploadSubject(context, join(folder, "storage"));
  const oneFile = new Subject({
    process: http,
    warmUp: (process) => sendAll(process, warmUpFileRequests(small)),
    sample: (process) => sendAll(process, [fileRequest(file)]),
  });
  const parsed = new Subject({
    process: http,
    warmUp: (process) => sendAll(process, warmUpUpload(context)),
    sample: (process, round) => sendAll(process, uploadOf(context, round)),
  });
  let used = 0;
  const files = new Subject({
    process: await context.fileBaseline(),
    warmUp: async () => undefined,
    sample: (process) => {
      const created = join(folder, `created ${used++}`);
      mkdirSync(created);
      const bytes = BATCH * LINE_BYTES;
      const task = { folder: created, folders: 1, inFlight: 1, bytes, seconds: context.seconds };
      return process.run({ work: "objects", ...task });
    },
  });
  return {
    subjects: [server, oneFile, parsed, files],
    results: (): Result[] => {
      const puts = server.storage.put / server.samples.length;
      const speed = medianRatio(throughput, server.samples, oneFile.samples);
      const minimum = [parsed.samples, files.samples];
      return [
        {
          scenario: "bulk-upload",
          work: server.work,
          figures: uploadFigures(server),
          ratios: { throughput: speed },
          baseline: "bare HTTP server, one file",
          storage: server.storage,
          targets: [
            exactly("puts", puts, batchCount(context)),
            atLeast("MB/s / baseline", speed, 0.5),
          ],
          samples: { baseline: oneFile.samples, server: server.samples },
        },
        {
          scenario: "bulk-upload",
          work: "for comparison: the same, beside bare HTTP and a bare file for each batch",
          figures: { cpu: medianOf(cpu, server.samples), p50: medianOf(p50, server.samples) },
          ratios: {
            cpu: medianRatio(cpu, server.samples, ...minimum),
            p50: medianRatio(p50, server.samples, ...minimum),
          },
          baseline: "bare HTTP server + bare files",
          targets: [],
          samples: { http: parsed.samples, files: files.samples },
        },
      ];
    },
  };
}

export const bulkUpload: Scenario = [upload];
