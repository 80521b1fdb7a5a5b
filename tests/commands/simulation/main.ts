/**
 * Copies of a storage that a server uses, for a while: `npm run simulate:copy [-- MINUTES [SEED]]`, ten
 * minutes by default. Each round prints its seed.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { temporaryFolder } from "../../support/folder.ts";
import { newPlace, removePlace, s3 } from "../../support/s3.ts";
import { runRound } from "./round.ts";

const ROUND_MS = 60_000;

const [minutes = 10, firstSeed = Math.floor(Math.random() * 1e9)] = process.argv
  .slice(2)
  .map(Number);
const until = performance.now() + minutes * 60_000;
let wrong = 0;
for (let round = 0; round === 0 || performance.now() < until; round++) {
  const { path, remove } = temporaryFolder();
  const buckets: string[] = [];
  const bucket = () => {
    const place = newPlace();
    buckets.push(place);
    return place;
  };
  const folder = () => join(path, randomUUID());
  const ways = [
    [folder, folder],
    [folder, bucket],
    [bucket, folder],
    [bucket, bucket],
  ] as const;
  const [from, to] = ways[s3 === undefined ? 0 : round % ways.length] ?? ways[0];
  const seed = firstSeed + round;
  console.log(
    `round ${round}, seed ${seed}: from ${from === bucket ? "S3" : "a folder"} to ${to === bucket ? "S3" : "a folder"}`,
  );
  try {
    const time = Math.min(ROUND_MS, until - performance.now());
    const seen = await runRound({
      seed,
      from: from(),
      newPlace: to,
      time,
      copies: 1,
      say: (line) => console.log(`  ${line}`),
    });
    const { operations, snapshots, erased } = seen.devices;
    console.log(
      `  ${seen.copies} copies, ${operations} operations, ${snapshots} snapshots, ${erased} users erased, ` +
        `${seen.packed} objects packed and deleted, ${seen.trimmed} operations trimmed`,
    );
  } catch (error) {
    wrong++;
    console.log(`round ${round}, seed ${seed}: FAILED`, error);
  }
  remove();
  for (const place of buckets) await removePlace(place);
}
console.log(`from seed ${firstSeed}, ${wrong} rounds failed`);
if (wrong > 0) process.exitCode = 1;
