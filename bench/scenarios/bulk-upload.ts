import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileRequest, syncRequest } from "../lib/connection.ts";
import type { Ground } from "../lib/context.ts";
import { againstBoth, cpu, type Figure, median, p50, type Slot, typical } from "../lib/figures.ts";
import { bareFiles } from "../lib/load.ts";
import type { Program } from "../lib/program.ts";
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
} from "../lib/result.ts";
import { clientOf, PAYLOAD_BYTES, payloadOf, type User, userOf } from "../lib/seed.ts";
import { sent, warmedUp, warmUpFiles } from "../lib/transfer.ts";

const BATCH = 500;
const OPERATIONS = 100_000;

/** An operation's line in a segment: the payload, and what it is named by. */
const LINE_BYTES = PAYLOAD_BYTES + 90;

export interface Upload {
  readonly slot: Slot;
  readonly storage: Requests;
  readonly peak: number;
}

/** How many requests, and so puts, the upload is. */
export function batchesOf(ground: Ground): number {
  return Math.ceil(ground.size(OPERATIONS) / BATCH);
}

/** What one client sends: its operations in batches of 500. */
function batchesBy(user: User, batches: number): Uint8Array[] {
  return Array.from({ length: batches }, (_, batch) => {
    const first = batch * BATCH;
    const payload = Array.from({ length: BATCH }, (_, i) => payloadOf(first + i, PAYLOAD_BYTES));
    const operation = { client_id: clientOf(1), operation_index: first, payload, user: user.key };
    return syncRequest(JSON.stringify(operation));
  });
}

/** One client sends its operations in batches of 500, one after the other. */
export async function upload(server: Program, user: User, batches: number): Promise<Upload> {
  const requests = batchesBy(user, batches);
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
 * bare HTTP server that streams one file of the same bytes. Beside it, what each batch takes at the
 * least: the bare HTTP server parses it, and then a bare file of its size is made. Compaction is off,
 * so that the puts that are counted are those of the upload.
 */
export async function bulkUpload(ground: Ground): Promise<Result[]> {
  const batches = batchesOf(ground);
  const folder = ground.folder();
  const server = await ground.server(join(folder, "storage"), { COMPACTION: "off" });
  const floor = await ground.httpFloor();
  const files = await ground.filesFloor();
  const file = join(folder, "upload");
  const small = join(folder, "small");
  writeFileSync(small, Buffer.alloc(BATCH * PAYLOAD_BYTES, "x"));

  const slots: { floor: Slot[]; http: Slot[]; files: Slot[]; server: Slot[] } = {
    floor: [],
    http: [],
    files: [],
    server: [],
  };
  const uploads: Upload[] = [];
  const bare = (round: number) => {
    const made = join(folder, `bare ${round}`);
    mkdirSync(made);
    const bytes = BATCH * LINE_BYTES;
    const task = { folder: made, folders: 1, inFlight: 1, bytes, seconds: ground.seconds };
    return bareFiles(files, { work: "objects", ...task });
  };
  const first = Math.min(batches, 20);
  await upload(server, userOf("upload, warm-up", 0), first);
  await sent(floor, batchesBy(userOf("upload, warm-up", 0), first));
  for (let round = 0; round < ground.rounds; round++) {
    const done = await upload(server, userOf("upload", round), batches);
    uploads.push(done);
    slots.server.push(done.slot);
    writeFileSync(file, Buffer.alloc(Math.round(done.slot.megabytes * 1e6), "x"));
    await warmedUp(floor, warmUpFiles(small));
    slots.floor.push(await sent(floor, [fileRequest(file)]));
    slots.http.push(await sent(floor, batchesBy(userOf("upload", round), batches)));
    slots.files.push(await bare(round));
  }
  const ratios = transferRatios(slots.server, slots.floor);
  const { http, files: bareFile } = slots;
  const besideBoth = (figure: Figure) => againstBoth(slots.server, [http, bareFile], figure);
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
      rounds: { floor: slots.floor, server: slots.server },
    },
    {
      row: "bulk-upload",
      work: "for comparison: the same, beside bare HTTP and a bare file for each batch",
      figures: { cpu: typical(slots.server, cpu), p50: typical(slots.server, p50) },
      ratios: { cpu: besideBoth(cpu), p50: besideBoth(p50) },
      floor: "bare HTTP server + bare files",
      checks: [],
      rounds: { http, files: bareFile },
    },
  ];
}
