import type { Driver } from "../../storage/driver.ts";
import { openStorage } from "../../storage/open.ts";
import { newPlace, s3 } from "../../tests/support/s3.ts";
import type { Ground } from "../lib/context.ts";
import { median } from "../lib/figures.ts";
import {
  atMost,
  between,
  exactly,
  plus,
  type Requests,
  type Result,
  transferFigures,
} from "../lib/result.ts";
import { seedDriver, segments, userOf } from "../lib/seed.ts";
import { firstSyncOf, sent, warmedUp, warmUp } from "../lib/transfer.ts";
import { batchesOf, type Upload, upload, uploadFigures } from "./bulk-upload.ts";

/**
 * On S3: the first sync of 100,000 operations in segments of 1 MiB, with empty caches, and their bulk
 * upload. What is to be reached are the requests to S3; time and CPU are those of the server there is,
 * and have no floor. The bucket is the one the tests use; see `npm run s3:up`.
 */
export async function onS3(ground: Ground): Promise<Result[]> {
  if (s3 === undefined) {
    const skipped = "no S3 server: `npm run s3:up`, or TEST_S3 and the AWS_ variables";
    const none = { figures: {}, ratios: {}, checks: [], rounds: {}, skipped };
    return [{ row: "s3", work: "on S3", ...none }];
  }
  const place = newPlace();
  const driver = await openStorage(place);
  try {
    return [await firstSync(ground, place, driver), await bulkUpload(ground, place)];
  } finally {
    await emptied(driver);
    await driver.close();
  }
}

async function firstSync(ground: Ground, place: string, driver: Driver): Promise<Result> {
  const operations = ground.size(100_000);
  const user = userOf("first sync", operations);
  await seedDriver(driver, segments(user, operations));
  await seedDriver(driver, warmUp.objects());
  const slots = [];
  const peaks: number[] = [];
  const asked: Requests[] = [];
  for (let round = 0; round < ground.rounds; round++) {
    const server = await ground.server(place);
    await warmedUp(server, warmUp.requests);
    const before = await server.counters();
    slots.push(await sent(server, [firstSyncOf(user)]));
    peaks.push(server.peak());
    asked.push(between(before, await server.counters()));
    await server.stop();
  }
  const gets = median(asked.map(({ get }) => get));
  const lists = median(asked.map(({ list }) => list));
  return {
    row: "s3",
    work: `S3: first sync, ${operations.toLocaleString("en")} operations, compacted`,
    figures: { ...transferFigures(slots), peak: median(peaks) },
    ratios: {},
    storage: asked.reduce(plus),
    checks: [atMost("GET", gets, ground.size(120)), atMost("LIST", lists, 2)],
    rounds: { server: slots },
  };
}

async function bulkUpload(ground: Ground, place: string): Promise<Result> {
  const batches = batchesOf(ground);
  const server = await ground.server(place, { COMPACTION: "off" });
  await upload(server, userOf("upload, warm-up", 0), Math.min(batches, 20));
  const uploads: Upload[] = [];
  for (let round = 0; round < ground.rounds; round++) {
    uploads.push(await upload(server, userOf("upload", round), batches));
  }
  return {
    row: "s3",
    work: `S3: bulk upload, ${(batches * 500).toLocaleString("en")} operations by 500`,
    figures: uploadFigures(uploads),
    ratios: {},
    storage: uploads.map(({ storage }) => storage).reduce(plus),
    checks: [exactly("PUT", median(uploads.map(({ storage }) => storage.put)), batches)],
    rounds: { server: uploads.map(({ slot }) => slot) },
  };
}

/** Removes all that lies in the place, eight objects at a time. */
async function emptied(driver: Driver): Promise<void> {
  const names = (await driver.list("")).map(({ name }) => name);
  const lane = async () => {
    for (let name = names.pop(); name !== undefined; name = names.pop()) await driver.delete(name);
  };
  await Promise.all(Array.from({ length: 8 }, lane));
}
