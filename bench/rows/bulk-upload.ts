import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileRequest, syncRequest } from "../connection.ts";
import { median, type Slot } from "../figures.ts";
import type { Ground } from "../ground.ts";
import type { Program } from "../program.ts";
import {
  atLeast,
  between,
  exactly,
  type Figures,
  plus,
  type Requests,
  type Result,
  transferFigures,
  transferRatios,
} from "../result.ts";
import { clientOf, PAYLOAD_BYTES, payloadOf, type User, userOf } from "../seed.ts";
import { sent, warmedUp, warmUpFiles } from "../transfer.ts";

const BATCH = 500;
const OPERATIONS = 100_000;

export interface Upload {
  readonly slot: Slot;
  readonly storage: Requests;
  readonly peak: number;
}

/** How many requests, and so puts, the upload is. */
export function batchesOf(ground: Ground): number {
  return Math.ceil(ground.size(OPERATIONS) / BATCH);
}

/** One client sends its operations in batches of 500, one after the other. */
export async function upload(server: Program, user: User, batches: number): Promise<Upload> {
  const requests = Array.from({ length: batches }, (_, batch) => {
    const first = batch * BATCH;
    const payload = Array.from({ length: BATCH }, (_, i) => payloadOf(first + i, PAYLOAD_BYTES));
    const operation = { client_id: clientOf(1), operation_index: first, payload, user: user.key };
    return syncRequest(JSON.stringify(operation));
  });
  const bytes = requests.reduce((sum, request) => sum + request.byteLength, 0);
  server.restPeak();
  const before = await server.counters();
  const slot = await sent(server, requests);
  return {
    slot: { ...slot, megabytes: bytes / 1e6 },
    storage: between(before, await server.counters()),
    peak: server.peak(),
  };
}

export function uploadFigures(uploads: readonly Upload[]): Figures {
  const { cpu, speed, p50 } = transferFigures(uploads.map(({ slot }) => slot));
  return { cpu, speed, p50, peak: median(uploads.map(({ peak }) => peak)) };
}

/**
 * 100,000 operations of 512 bytes in batches of 500, by one client, into a folder. The floor is the
 * bare HTTP server that streams one file of the same bytes. Compaction is off, so that the puts that
 * are counted are those of the upload.
 */
export async function bulkUpload(ground: Ground): Promise<Result[]> {
  const batches = batchesOf(ground);
  const folder = ground.folder();
  const server = await ground.server(join(folder, "storage"), { COMPACTION: "off" });
  const floor = await ground.httpFloor();
  const file = join(folder, "upload");
  const small = join(folder, "small");
  writeFileSync(small, Buffer.alloc(BATCH * PAYLOAD_BYTES, "x"));

  const slots: { floor: Slot[]; server: Slot[] } = { floor: [], server: [] };
  const uploads: Upload[] = [];
  await upload(server, userOf("upload, warm-up", 0), Math.min(batches, 20));
  for (let round = 0; round < ground.rounds; round++) {
    const done = await upload(server, userOf("upload", round), batches);
    uploads.push(done);
    slots.server.push(done.slot);
    writeFileSync(file, Buffer.alloc(Math.round(done.slot.megabytes * 1e6), "x"));
    await warmedUp(floor, warmUpFiles(small));
    slots.floor.push(await sent(floor, [fileRequest(file)]));
  }
  const ratios = transferRatios(slots.server, slots.floor);
  return [
    {
      row: "bulk-upload",
      work: `bulk upload, ${(batches * BATCH).toLocaleString("en")} operations by ${BATCH}`,
      figures: uploadFigures(uploads),
      ratios: { speed: ratios.speed },
      floor: "bare HTTP server, one file",
      storage: uploads.map(({ storage }) => storage).reduce(plus),
      checks: [
        exactly("puts", median(uploads.map(({ storage }) => storage.put)), batches),
        atLeast("MB/s / floor", ratios.speed, 0.5),
      ],
      rounds: slots,
    },
  ];
}
