/** The S3 server to measure and test with. */
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "./process.ts";

/** What `npm run s3:up` writes about the server that it started. */
interface Started {
  readonly location: string;
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * A bucket, `s3://bucket` or `s3://bucket/prefix`: `TEST_S3`, with the AWS variables of its server,
 * or the one that `npm run s3:up` started, whose variables this sets. `undefined` without either.
 */
export function findS3(): string | undefined {
  if (process.env.TEST_S3 !== undefined) return process.env.TEST_S3;
  const file = join(projectFolder, "tests", "s3", "server.json");
  if (!existsSync(file)) return undefined;
  const started: Started = JSON.parse(readFileSync(file, "utf8"));
  Object.assign(process.env, started.environment);
  return started.location;
}

/** A prefix in the bucket that nothing else uses. */
export function newPrefix(bucket: string): string {
  return `${bucket}/${randomUUID()}`;
}
