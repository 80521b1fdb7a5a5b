import { join } from "node:path";
import { fileRequest } from "../lib/connection.ts";
import type { Ground } from "../lib/context.ts";
import { median, type Slot } from "../lib/figures.ts";
import { bareFiles } from "../lib/load.ts";
import {
  atLeast,
  atMost,
  between,
  NOTHING,
  peakRatio,
  plus,
  type Result,
  transferFigures,
  transferRatios,
} from "../lib/result.ts";
import { seedFolder, segments, singleObjects, userOf } from "../lib/seed.ts";
import { firstSyncOf, sent, warmedUp, warmUp, warmUpFiles, writeAnswer } from "../lib/transfer.ts";

/**
 * All of a log of 10,000 or 100,000 operations, in segments of 1 MiB, for a device that has none of
 * it. The floor is the bare HTTP server that streams one file of the same bytes. Each round starts
 * both anew and warms them up with small transfers; the peak is counted from then on.
 */
export async function firstSync(ground: Ground): Promise<Result[]> {
  const results: Result[] = [];
  for (const full of [10_000, 100_000]) {
    const operations = ground.size(full);
    const user = userOf("first sync", full);
    const folder = ground.folder();
    const storage = join(folder, "storage");
    seedFolder(storage, user, segments(user, operations));
    seedFolder(storage, warmUp.user, warmUp.objects());
    const answer = join(folder, "answer");
    const small = join(folder, "small");
    writeAnswer(answer, operations);
    writeAnswer(small, warmUp.operations);

    const slots: { floor: Slot[]; server: Slot[] } = { floor: [], server: [] };
    const peaks: { floor: number[]; server: number[] } = { floor: [], server: [] };
    let asked = NOTHING;
    for (let round = 0; round < ground.rounds; round++) {
      const floor = await ground.httpFloor();
      await warmedUp(floor, warmUpFiles(small));
      slots.floor.push(await sent(floor, [fileRequest(answer)]));
      peaks.floor.push(floor.peak());
      await floor.stop();

      const server = await ground.server(storage);
      await warmedUp(server, warmUp.requests);
      const before = await server.counters();
      slots.server.push(await sent(server, [firstSyncOf(user)]));
      peaks.server.push(server.peak());
      asked = plus(asked, between(before, await server.counters()));
      await server.stop();
    }
    checkBytes(slots.server, slots.floor);
    const figures = { ...transferFigures(slots.server), peak: median(peaks.server) };
    const ratios = transferRatios(slots.server, slots.floor);
    results.push({
      row: "first-sync",
      work: `first sync, ${operations.toLocaleString("en")} operations, compacted`,
      figures,
      ratios: { ...ratios, ...peakRatio(figures.peak, median(peaks.floor)) },
      floor: "bare HTTP server, one file",
      storage: asked,
      checks: [
        atLeast("MB/s / floor", ratios.speed, 0.5),
        atMost("first byte, ms", figures.firstByte, 10),
        atMost("peak, MB", figures.peak, 64),
      ],
      rounds: slots,
    });
  }
  return results;
}

/**
 * The same with 10,000 objects of one operation each, and no compaction. The floor reads those files,
 * 32 at a time, and sends nothing.
 */
export async function notCompacted(ground: Ground): Promise<Result[]> {
  const operations = ground.size(10_000);
  const user = userOf("not compacted", 0);
  const storage = ground.folder();
  seedFolder(storage, user, singleObjects(user, operations));
  seedFolder(storage, warmUp.user, singleObjects(warmUp.user, warmUp.operations));

  const floor = await ground.filesFloor();
  const read = (fingerprint: string) =>
    bareFiles(floor, { work: "read", folder: join(storage, fingerprint) });
  for (const _ of warmUp.requests) await read(warmUp.user.fingerprint);
  const slots: { floor: Slot[]; server: Slot[] } = { floor: [], server: [] };
  const peaks: number[] = [];
  let asked = NOTHING;
  for (let round = 0; round < ground.rounds; round++) {
    slots.floor.push(await read(user.fingerprint));
    const server = await ground.server(storage, { COMPACTION: "off" });
    await warmedUp(server, warmUp.requests);
    const before = await server.counters();
    slots.server.push(await sent(server, [firstSyncOf(user)]));
    peaks.push(server.peak());
    asked = plus(asked, between(before, await server.counters()));
    await server.stop();
  }
  const { speed: _, firstByte: __, ...ratios } = transferRatios(slots.server, slots.floor);
  return [
    {
      row: "not-compacted",
      work: `first sync, ${operations.toLocaleString("en")} operations, not compacted`,
      figures: { ...transferFigures(slots.server), peak: median(peaks) },
      ratios,
      floor: "bare files, read",
      storage: asked,
      checks: [atMost("time / floor", ratios.p50, 2)],
      rounds: slots,
    },
  ];
}

/** The floor has to have sent what the server sends, or the comparison is none. */
function checkBytes(server: readonly Slot[], floor: readonly Slot[]): void {
  for (const [round, { megabytes }] of server.entries()) {
    if (megabytes === floor[round]?.megabytes) continue;
    throw new Error(`the server sent ${megabytes} MB, the floor ${floor[round]?.megabytes}`);
  }
}
