import type { Driver } from "../../storage/driver.ts";
import { openStorage } from "../../storage/open.ts";
import type { BenchContext } from "./context.ts";
import { skippedResult } from "./result.ts";
import { findS3, newPrefix } from "./s3.ts";
import type { Experiment } from "./scenario.ts";
import { inParallel } from "./workers.ts";

const HOW = "no S3 server: `npm run s3:up`, or TEST_S3 and the AWS_ variables";

/** Prepares an experiment on a new prefix, and deletes its objects afterwards. */
export function onS3(
  scenario: string,
  prepare: (context: BenchContext, storage: string, driver: Driver) => Promise<Experiment>,
) {
  return async (context: BenchContext): Promise<Experiment> => {
    const bucket = findS3();
    if (bucket === undefined) {
      return { subjects: [], results: () => [skippedResult(scenario, "on S3", HOW)] };
    }
    const storage = newPrefix(bucket);
    const driver = await openStorage(storage);
    context.onStop(async () => {
      const objects = await driver.list("");
      await inParallel(8, objects, ({ name }) => driver.delete(name));
      await driver.close();
    });
    return prepare(context, storage, driver);
  };
}
