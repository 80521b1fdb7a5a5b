import { it } from "node:test";
import { findS3, newPrefix } from "../../bench/lib/s3.ts";

/** A bucket to test with: see `findS3`. */
export const s3 = findS3();

/** Says in the results that the S3 tests were skipped, and how to get them. */
export function skipS3(): void {
  const how = "`npm run s3:up` starts one, or set TEST_S3=s3://bucket and the AWS_ variables";
  it(`the S3 tests are skipped, because there is no S3 server: ${how}`, { skip: true });
}

/** A place in the bucket that nothing else uses. */
export function newPlace(): string {
  if (s3 === undefined) throw new Error("there is no S3 server to test with");
  return newPrefix(s3);
}
