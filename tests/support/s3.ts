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

/** The AWS SDK, which takes a second to load, with a client; only where there is S3 to test with. */
async function sdk() {
  const { openClient } = await import("../../storage/s3-client.ts");
  return { ...(await import("@aws-sdk/client-s3")), client: await openClient({}) };
}

/** Deletes all objects of a place, many with each request. */
export async function removePlace(place: string): Promise<void> {
  const { DeleteObjectsCommand, paginateListObjectsV2, client } = await sdk();
  const { host: Bucket, pathname } = new URL(place);
  for await (const { Contents = [] } of paginateListObjectsV2(
    { client },
    { Bucket, Prefix: `${pathname.slice(1)}/` },
  )) {
    const Objects = Contents.map(({ Key }) => ({ Key }));
    if (Objects.length === 0) continue;
    const { Errors = [] } = await client.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }),
    );
    if (Errors.length > 0) throw new Error(`${place}: ${Errors[0]?.Message}`);
  }
  client.destroy();
}

/** Whether the service refuses to replace an object that may only be created; asked without the driver. */
export async function hasConditionalWrites(place: string): Promise<boolean> {
  const { PutObjectCommand, S3ServiceException, client } = await sdk();
  const { host: Bucket, pathname } = new URL(place);
  const Key = `${pathname.slice(1)}/condition`;
  const create = () =>
    client.send(new PutObjectCommand({ Bucket, Key, Body: "", IfNoneMatch: "*" }));
  try {
    await create();
    await create();
    return false;
  } catch (error) {
    const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
    if (status !== 412 && status !== 501) throw error;
    return status === 412;
  } finally {
    client.destroy();
    await removePlace(place);
  }
}
