/** A bulk upload: one client sends its operations in batches of 500, one after the other. */
import type { BenchContext } from "./context.ts";
import { ServerSubject } from "./interleave.ts";
import { sendAll } from "./load.ts";
import type { HttpProcess } from "./process.ts";
import { syncRequest } from "./requests.ts";
import { type Figures, transferFigures } from "./result.ts";
import { median } from "./sample.ts";
import { PAYLOAD_BYTES, payloadOf } from "./seed.ts";
import { clientOf, type User, userOf } from "./users.ts";

const BATCH = 500;
const OPERATIONS = 100_000;
const WARM_UP_BATCHES = 20;

/** How many requests the upload takes; each is one put. */
export function batchCount(context: BenchContext): number {
  return Math.ceil(context.size(OPERATIONS) / BATCH);
}

/** The upload of a round: each has its own user, and the same number of bytes. */
function uploadOf(context: BenchContext, round: number): Uint8Array[] {
  return batches(userOf("upload", round), batchCount(context));
}

function warmUpUpload(context: BenchContext): Uint8Array[] {
  const count = Math.min(batchCount(context), WARM_UP_BATCHES);
  return batches(userOf("upload, warm-up", 0), count);
}

function batches(user: User, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, batch) => {
    const first = batch * BATCH;
    const payload = Array.from({ length: BATCH }, (_, i) => payloadOf(first + i, PAYLOAD_BYTES));
    const operation = { client_id: clientOf(1), operation_index: first, payload, user: user.key };
    return syncRequest(JSON.stringify(operation));
  });
}

function megabytesOf(requests: readonly Uint8Array[]): number {
  return requests.reduce((sum, { byteLength }) => sum + byteLength, 0) / 1e6;
}

/** A server that receives the upload. Compaction is off, so that all puts are the upload's. */
export async function uploadSubject(context: BenchContext, storage: string, on = "") {
  const operations = (batchCount(context) * BATCH).toLocaleString("en");
  const process = await context.server(storage, { COMPACTION: "off" });
  return new ServerSubject(
    `${on}bulk upload, ${operations} operations by ${BATCH}`,
    uploading(context, process),
  );
}

/** A process that receives the upload. */
export function uploading<Process extends HttpProcess>(context: BenchContext, process: Process) {
  return {
    process,
    warmUp: (process: Process) => sendAll(process, warmUpUpload(context)),
    sample: async (process: Process, round: number) => {
      const requests = uploadOf(context, round);
      process.resetPeak();
      const sample = await sendAll(process, requests);
      return { ...sample, megabytes: megabytesOf(requests) };
    },
  };
}

export function uploadFigures({ samples, peaks }: ServerSubject): Figures {
  const { cpu, throughput, p50 } = transferFigures(samples);
  return { cpu, throughput, p50, peak: median(peaks) };
}
