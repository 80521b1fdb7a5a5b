import { randomUUID } from "node:crypto";
import { S3Driver } from "../storage/s3.ts";
import { driverContract } from "./driver-contract.ts";

driverContract("S3", async () => {
  const location = `s3://test/${randomUUID()}`;
  const driver = await S3Driver.open(location);
  return {
    driver,
    reopen: () => S3Driver.open(location),
    remove: async () => undefined,
  };
});
