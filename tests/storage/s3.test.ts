import { S3Driver } from "../../storage/s3.ts";
import { protocolSuite } from "../protocol/protocol-suite.ts";
import { newPlace, s3, skipS3 } from "../support/s3.ts";
import { crashSuite } from "./crash-suite.ts";
import { driverContract } from "./driver-contract.ts";

if (s3 === undefined) {
  skipS3();
} else {
  const place = newPlace();
  driverContract("S3", {
    open: () => S3Driver.open(place),
    shared: true,
    remove: async () => {
      const driver = await S3Driver.open(place);
      const objects = (await driver.list("")).values();
      const deleting = async () => {
        for (const { name } of objects) await driver.delete(name);
      };
      await Promise.all(Array.from({ length: 32 }, deleting));
      await driver.close();
    },
  });
  protocolSuite("S3", () => S3Driver.open(newPlace()));
  crashSuite("S3", () => place);
}
