import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { md5Of } from "../../storage/driver.ts";
import { S3Driver } from "../../storage/s3.ts";
import { protocolSuite } from "../protocol/protocol-suite.ts";
import { sameMd5 } from "../support/collision.ts";
import { countingProxy } from "../support/counting-proxy.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { hasConditionalWrites, newPlace, removePlace, s3, skipS3 } from "../support/s3.ts";
import { someFingerprint } from "../support/users.ts";
import type { Faults } from "./contract/place.ts";
import { crashSuite } from "./crash-suite.ts";
import { driverContract } from "./driver-contract.ts";

if (s3 === undefined) {
  skipS3();
} else {
  const place = newPlace();
  const onBun = process.versions.bun !== undefined;
  driverContract("S3", {
    open: () => S3Driver.open(place),
    ...(!onBun && {
      few: "Bun does what takes thousands of requests; tests/storage/s3-wire.test.ts lists two pages",
    }),
    processes: {
      module: new URL("../../storage/s3.ts", import.meta.url).href,
      driver: "S3Driver",
      location: place,
      files: false,
    },
    faults: s3Faults(process.env.AWS_ENDPOINT_URL),
    remove: () => removePlace(place),
  });
  describe("a bucket", () => {
    it("that has a storage folder as it lies is not opened, and the error says what to do", async () => {
      const parent = newPlace();
      const user = someFingerprint();
      const above = await S3Driver.open(parent);
      await above.put(`${user}.a`, new Uint8Array(1));
      const copied = await S3Driver.open(`${parent}/${user}`);
      await copied.put(`${user}.b`, new Uint8Array(1));
      await assert.rejects(S3Driver.open(parent), {
        name: "StorageUnavailable",
        message: /has a storage folder as it lies.*for d in DATA\/\*\/; do aws s3 cp --recursive/,
      });
      await copied.delete(`${user}.b`);
      // What else has a folder in the bucket, such as another server, is no fault.
      await copied.put("other.b", new Uint8Array(1));
      await (await S3Driver.open(parent)).close();
      await above.delete(`${user}.a`);
      await copied.delete("other.b");
      await Promise.all([above.close(), copied.close()]);
    });
  });
  describe("two servers on a bucket", () => {
    it("keep one of two bodies with the same MD5 that are put at once, and refuse the other", async (t) => {
      const shared = newPlace();
      if (!(await hasConditionalWrites(shared))) {
        return t.skip("this service has no conditional writes");
      }
      const [a, b] = [await S3Driver.open(shared), await S3Driver.open(shared)];
      const [one, other] = [Buffer.from(sameMd5[0]), Buffer.from(sameMd5[1])];
      const md5 = md5Of(one);
      const user = someFingerprint();
      const names = Array.from({ length: 8 }, (_, i) => `${user}.${i}`);
      t.after(async () => {
        for (const name of [`${user}.kept`, ...names]) await a.delete(name);
        await Promise.all([a.close(), b.close()]);
      });
      await a.put(`${user}.kept`, one);
      await b.put(`${user}.kept`, other);
      assert.deepEqual(Buffer.from(await a.get(`${user}.kept`)), one);
      for (const name of names) {
        const [first, second] = await Promise.allSettled([
          a.put(name, one, { md5 }),
          b.put(name, other, { md5 }),
        ]);
        const [stored, refused] = first.status === "fulfilled" ? [one, second] : [other, first];
        assert.deepEqual(Buffer.from(await a.get(name)), stored);
        assert.equal(refused.status, "rejected");
        assert.match(String(refused.reason), /another body with this MD5 is stored/);
        // A retry is acknowledged, by whichever server it comes.
        await Promise.all([a.put(name, stored, { md5 }), b.put(name, stored, { md5 })]);
      }
    });
  });
  const deno = onlyOn("Deno", "each has the contract above, and the protocol on memory");
  describe(`the protocol on S3${deno.note}`, { skip: deno.skip }, () =>
    protocolSuite("S3", () => S3Driver.open(newPlace())),
  );
  const { skip, note } = onlyOn(
    "Deno",
    "what is acknowledged is in the bucket, whatever the runtime",
  );
  describe(`crashes on S3${note}`, { skip }, () => crashSuite("S3", () => place));
}

/** A proxy stands between the driver and its service, and answers with 503 in its place. */
function s3Faults(endpoint: string | undefined): Faults | string {
  if (endpoint?.startsWith("http://") !== true) return "the proxy speaks only plain HTTP";
  return {
    // Port 9 of this machine: nothing listens there.
    openAbsent: () => S3Driver.open(newPlace(), { endpoint: "http://127.0.0.1:9", maxAttempts: 1 }),
    openBreakable: async () => {
      const proxy = await countingProxy(endpoint);
      const driver = await S3Driver.open(newPlace(), { endpoint: proxy.url, maxAttempts: 1 });
      const close = driver.close.bind(driver);
      driver.close = () => close().finally(proxy.close);
      return {
        driver,
        breakBackend: () => {
          proxy.meddleAnswer = () => ({ status: 503, body: Buffer.from("unavailable") });
        },
        repairBackend: () => {
          proxy.meddleAnswer = (_seen, answer) => answer;
        },
      };
    },
  };
}
