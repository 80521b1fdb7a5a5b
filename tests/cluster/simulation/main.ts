/**
 * Servers, devices and a Redis with faults, for a while: `npm run simulate:cluster [-- MINUTES [SEED]]`.
 * Each round prints its seed; `npm run simulate:cluster -- 0 SEED` runs that round again, as far as
 * processes of a real machine do the same twice.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../support/folder.ts";
import { newPlace, removePlace, s3 } from "../../support/s3.ts";
import { Random } from "../../support/simulation/random.ts";
import { checkLimits } from "./limits.ts";
import { buildPrograms, type Runtime } from "./program.ts";
import { Report } from "./report.ts";
import { planOf, runRound } from "./round.ts";

const DEFAULT_MINUTES = 30;
const PROGRESS_MS = 10_000;

/** The first rounds have one of Bun and one of Deno; most have Node. */
function runtimeOf(round: number): Runtime {
  return round === 1 ? "Bun" : round === 2 ? "Deno" : "Node";
}

const [minutes = DEFAULT_MINUTES, firstSeed = Math.floor(Math.random() * 1e9)] = process.argv
  .slice(2)
  .map(Number);
const { path, remove } = temporaryFolder();
const programs = buildPrograms(path);
const until = performance.now() + minutes * 60_000;
let wrong = 0;
let round = 0;
console.log(`seed ${firstSeed}, storage on ${s3 === undefined ? "folders" : "folders and S3"}`);
do {
  const seed = firstSeed + round;
  const runtime = runtimeOf(round);
  const onS3 = s3 !== undefined && new Random(seed).chance(0.4);
  const folder = join(path, `${round}`);
  mkdirSync(folder);
  const storage = onS3 ? newPlace() : folder;
  const report = new Report((line) => console.log(`  ${line}`));
  const progress = setInterval(() => report.progress(), PROGRESS_MS);
  const plan = planOf(seed);
  const isAboutLimits = round % 6 === 5;
  try {
    if (isAboutLimits) {
      console.log(`round ${round}, seed ${seed}: limits, ${runtime}`);
      await checkLimits(seed, programs[runtime], folder, report);
    } else {
      console.log(
        `round ${round}, seed ${seed}: ${plan.servers} servers on ${runtime} and ${onS3 ? "S3" : "a folder"}, ${plan.users} users, LISTING_TTL ${plan.ttl} s`,
      );
      await runRound(plan, programs[runtime], storage, report);
    }
  } catch (error) {
    report.fault(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  clearInterval(progress);
  report.progress();
  wrong += report.faults.length;
  if (report.faults.length > 0) console.log(`round ${round}, seed ${seed}: FAILED`);
  if (onS3) await removePlace(storage);
  round++;
} while (performance.now() < until);
remove();
console.log(`${round} rounds from seed ${firstSeed}, ${wrong} faults`);
if (wrong > 0) process.exitCode = 1;
