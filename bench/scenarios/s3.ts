import type { Driver } from "../../storage/driver.ts";
import type { BenchContext } from "../lib/context.ts";
import { ServerSubject } from "../lib/interleave.ts";
import { sendAll } from "../lib/load.ts";
import { onS3 } from "../lib/on-s3.ts";
import { firstSyncRequest } from "../lib/requests.ts";
import { atMost, exactly, transferFigures } from "../lib/result.ts";
import { median } from "../lib/sample.ts";
import type { Experiment, Scenario } from "../lib/scenario.ts";
import { seedDriver, segments } from "../lib/seed.ts";
import { warmUpLog } from "../lib/transfer.ts";
import { batchCount, uploadFigures, uploadSubject } from "../lib/upload.ts";
import { userOf } from "../lib/users.ts";

/** The first sync of 100,000 operations in segments of 1 MiB, with empty caches. */
async function firstSync(
  context: BenchContext,
  storage: string,
  driver: Driver,
): Promise<Experiment> {
  const operations = context.size(100_000);
  const user = userOf("first sync", operations);
  await seedDriver(driver, segments(user, operations));
  await seedDriver(driver, warmUpLog.objects());
  const work = `S3: first sync, ${operations.toLocaleString("en")} operations, compacted`;
  const server = new ServerSubject(work, {
    process: () => context.server(storage),
    warmUp: (process) => sendAll(process, warmUpLog.requests),
    sample: (process) => sendAll(process, [firstSyncRequest(user)]),
  });
  return {
    subjects: [server],
    results: () => {
      const rounds = server.samples.length;
      return [
        {
          scenario: "s3",
          work,
          figures: { ...transferFigures(server.samples), peak: median(server.peaks) },
          ratios: {},
          storage: server.storage,
          targets: [
            atMost("GET", server.storage.get / rounds, context.size(120)),
            atMost("LIST", server.storage.list / rounds, 2),
          ],
          samples: { server: server.samples },
        },
      ];
    },
  };
}

async function bulkUpload(context: BenchContext, storage: string): Promise<Experiment> {
  const server = await uploadSubject(context, storage, "S3: ");
  return {
    subjects: [server],
    results: () => [
      {
        scenario: "s3",
        work: server.work,
        figures: uploadFigures(server),
        ratios: {},
        storage: server.storage,
        targets: [exactly("PUT", server.storage.put / server.samples.length, batchCount(context))],
        samples: { server: server.samples },
      },
    ],
  };
}

/**
 * The targets are numbers of requests to S3; time and CPU depend on the S3 server and have no
 * baseline. The bucket is the one that the tests use.
 */
export const s3: Scenario = [onS3("s3", firstSync), onS3("s3", bulkUpload)];
