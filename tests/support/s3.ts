import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { projectFolder } from "./process.ts";

/** What `npm run s3:up` leaves, so that tests find the server it has started. */
interface Started {
  readonly location: string;
  readonly environment: Readonly<Record<string, string>>;
}

function findServer(): string | undefined {
  if (process.env.TEST_S3 !== undefined) return process.env.TEST_S3;
  const file = join(projectFolder, "tests", "s3", "server.json");
  if (!existsSync(file)) return undefined;
  const started: Started = JSON.parse(readFileSync(file, "utf8"));
  Object.assign(process.env, started.environment);
  return started.location;
}

/**
 * A bucket to test with, `s3://bucket` or `s3://bucket/prefix`: `TEST_S3`, with the AWS variables of
 * its server, or the one that `npm run s3:up` has started. `undefined` when there is neither.
 */
export const s3 = findServer();

/** Says in the results that the S3 tests were skipped, and how to get them. */
export function skipS3(): void {
  const how = "`npm run s3:up` starts one, or set TEST_S3=s3://bucket and the AWS_ variables";
  it(`the S3 tests are skipped, because there is no S3 server: ${how}`, { skip: true });
}

/** A place in the bucket that nothing else uses. */
export function newPlace(): string {
  return `${s3}/${randomUUID()}`;
}
