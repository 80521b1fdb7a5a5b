/** The requests between a server and its S3: which, how many, and what happens when they fail. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { formatName } from "../../oplog/names.ts";
import { md5Of, ObjectMissing, StorageUnavailable } from "../../storage/driver.ts";
import { S3Driver } from "../../storage/s3.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { type CountingProxy, countingProxy } from "../support/counting-proxy.ts";
import { type Serving, serveHere, sync } from "../support/http.ts";
import { storeEach } from "../support/logs.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { runToEnd, startServer } from "../support/process.ts";
import { newPlace, s3, skipS3 } from "../support/s3.ts";
import { newSigningUser } from "../support/signing.ts";
import { signedSync } from "../support/snapshots.ts";
import { postRaw, settled, until } from "../support/socket.ts";
import { newClient, newUser, someFingerprint } from "../support/users.ts";

const target = process.env.AWS_ENDPOINT_URL;

/** What S3 answers to a header that it does not know. */
const NOT_IMPLEMENTED =
  "<Error><Code>NotImplemented</Code><Message>A header is not implemented</Message></Error>";

if (s3 === undefined) skipS3();

// The proxy speaks plain HTTP: with an S3 behind TLS, only the other suites run.
if (s3 !== undefined && target?.startsWith("http://")) {
  const user = newUser().base64;
  const [a, b] = [newClient(), newClient()];
  /** Stores operations of the client a without the proxy, each as an object. */
  const store = async (place: string, payloads: readonly string[]) => {
    const driver = await S3Driver.open(place);
    await storeEach(driver, fingerprintOf(user), a, payloads);
    await driver.close();
  };
  let proxy: CountingProxy;
  before(async () => {
    proxy = await countingProxy(target);
  });
  after(() => proxy.close());
  beforeEach(() => {
    proxy.meddleRequest = (_seen, body) => body;
    proxy.meddleAnswer = (_seen, answer) => answer;
  });

  const { skip, note } = onlyOn("Deno", "which requests are made does not depend on the runtime");
  describe(`the requests to S3${note}`, { skip }, () => {
    const placeOfMany = newPlace();
    const MANY = 1010;
    // As many as fill a segment, and the last, which stays single: each request takes CPU.
    const packed = Array<string>(11).fill("p".repeat(100_000));
    let place: string;
    let server: Serving;
    let end: () => Promise<void>;
    /** Starts a server in this process: each of its own would load the AWS SDK, for a second. */
    const start = async (settings: Record<string, string> = {}, storage = place) => {
      const driver = await S3Driver.open(storage, { endpoint: proxy.url });
      // However slow the machine is, no listing is read again because of its age.
      const environment = { COMPACTION: "off", LISTING_TTL: "forever", ...settings };
      server = await serveHere(environment, driver);
      end = async () => {
        await server.close();
        await driver.close();
      };
      proxy.seen.length = 0;
    };
    const post = async (body: Record<string, unknown>) => {
      const answer = await sync(server.url, { user, ...body });
      assert.equal(answer.status, 200, answer.text);
      return answer.operations;
    };

    before(async () => {
      // More than one page of a list, and more bytes than sockets buffer.
      await store(placeOfMany, Array<string>(MANY).fill("p".repeat(12_000)));
    });
    beforeEach(() => {
      place = newPlace();
    });
    afterEach(() => end());

    it("are none for a poll on a warm cache", async () => {
      await start();
      await post({ client_id: a, operation_index: 0, payload: ["zero", "one"] });
      await post({ client_id: b });
      proxy.seen.length = 0;
      await post({ client_id: b });
      await post({ client_id: b, sync_status: { [a]: 1 } });
      assert.deepEqual(proxy.count(), {});
    });

    it("are one PUT for an append on a warm listing, and none more for the poll of another device", async () => {
      await start();
      await post({ client_id: b });
      proxy.seen.length = 0;
      await post({ client_id: a, operation_index: 0, payload: "zero" });
      assert.deepEqual(proxy.count(), { put: 1 });
      assert.equal((await post({ client_id: b })).length, 1);
      assert.deepEqual(proxy.count(), { put: 1 });
    });

    it("are one LIST and one PUT for an append on a cold listing", async () => {
      await start();
      await post({ client_id: a, operation_index: 0, payload: "zero" });
      assert.deepEqual(proxy.count(), { list: 1, put: 1 });
    });

    it("are one LIST for a cold poll without news, and one GET for each new operation", async () => {
      await start();
      await store(place, ["zero", "one", "two"]);
      await post({ client_id: b, sync_status: { [a]: 2 } });
      assert.deepEqual(proxy.count(), { list: 1 });
      await end();
      await start();
      assert.equal((await post({ client_id: b, sync_status: { [a]: 0 } })).length, 2);
      assert.deepEqual(proxy.count(), { list: 1, get: 2 });
    });

    it("are one LIST for each 1,000 operations and one GET for each that a device lacks on a cold server, and none on a warm one", async () => {
      await start({}, placeOfMany);
      const sync_status = { [a]: MANY - 101 };
      assert.equal((await post({ client_id: newClient(), sync_status })).length, 100);
      assert.deepEqual(proxy.count(), { list: 2, get: 100 });
      assert.equal((await post({ client_id: newClient(), sync_status })).length, 100);
      assert.deepEqual(proxy.count(), { list: 2, get: 100 });
      assert.ok(proxy.most() > 4, "reads go side by side");
    });

    it("are one PUT for a batch, and one LIST and one GET for a new device on a cold server", async () => {
      await start();
      const payloads = Array.from({ length: 500 }, (_, i) => `${i}`);
      await post({ client_id: a, operation_index: 0, payload: payloads });
      assert.deepEqual(proxy.count(), { list: 1, put: 1 });
      await end();
      await start();
      assert.equal((await post({ client_id: b })).length, 500);
      assert.deepEqual(proxy.count(), { list: 1, get: 1 });
    });

    it("are one GET and one DELETE for each operation that is packed, and one PUT; then one GET for a segment", async () => {
      await store(place, [...packed, "last"]);
      await start({ COMPACTION: "on", PACKED_RETENTION: "0" });
      // A listing that shows work is enough to start compaction.
      await post({ client_id: b, sync_status: { [a]: packed.length } });
      await until(() => (proxy.count().delete ?? 0) >= packed.length);
      await end();
      // The last operation stays single. The second list checks whether the user was erased, the
      // third whether the segment is still there.
      assert.deepEqual(proxy.count(), {
        list: 3,
        get: packed.length,
        put: 1,
        delete: packed.length,
      });
      const kinds = proxy.seen.map(({ kind }) => kind);
      assert.ok(kinds.lastIndexOf("get") < kinds.indexOf("put"), "stored before all was read");
      assert.ok(kinds.indexOf("put") < kinds.indexOf("delete"), "deleted before it was stored");
      await start({ COMPACTION: "on" });
      assert.equal((await post({ client_id: newClient() })).length, packed.length + 1);
      assert.deepEqual(proxy.count(), { list: 1, get: 2 });
    });

    it("are two PUTs for a snapshot, and two GETs for a new device that begins with it on a cold server", async () => {
      await start();
      const signer = await newSigningUser();
      const signed = async (members: Record<string, unknown>) => {
        const answer = await signedSync(server.url, signer, members);
        assert.equal(answer.status, 200, answer.text);
        return answer.operations.length;
      };
      await signed({ client_id: a, operation_index: 0, payload: Array(9).fill("p".repeat(3000)) });
      proxy.seen.length = 0;
      const snapshot = { covers: { [a]: 8 } };
      await signed({ client_id: a, operation_index: 9, payload: "state", snapshot });
      assert.deepEqual(proxy.count(), { put: 2 });
      await end();
      await start();
      assert.equal(await signed({ client_id: b, snapshots: true }), 1);
      assert.deepEqual(proxy.count(), { list: 1, get: 2 });
      assert.equal(await signed({ client_id: newClient(), snapshots: true }), 1);
      assert.deepEqual(proxy.count(), { list: 1, get: 2 });
    });

    it("are no GET for what is packed while its payload is cached", async () => {
      await start({ COMPACTION: "on", PACKED_RETENTION: "0" });
      for (const [operation_index, payload] of [...packed, "last"].entries()) {
        await post({ client_id: a, operation_index, payload });
      }
      await until(() => (proxy.count().delete ?? 0) >= packed.length);
      const { list, get, put = 0 } = proxy.count();
      // One for the append, one for an erasure meanwhile, one before the objects are deleted.
      assert.deepEqual({ list, get }, { list: 3, get: undefined });
      assert.ok(put > packed.length + 1);
    });

    it("are those that /metrics counts, each page and each attempt", async () => {
      await start({}, placeOfMany);
      let failures = 2;
      proxy.meddleAnswer = (_seen, answer) =>
        failures-- > 0 ? { ...answer, status: 500 } : answer;
      await post({ client_id: b, sync_status: { [a]: MANY - 2 } });
      // The metrics count one more: the server has listed its bucket before it listened.
      const seen = proxy.count();
      assert.deepEqual(seen, { list: 4, get: 1 });
      const metrics = await (await fetch(new URL("/metrics", server.url))).text();
      assert.match(metrics, /sync_storage_requests_total{kind="list"} 5\n/);
      assert.match(metrics, /sync_storage_requests_total{kind="get"} 1\n/);
      assert.match(metrics, /sync_storage_bytes_total{direction="read"} 12000\n/);
    });

    it("stop when the reader goes away", async () => {
      await start({ OBJECT_CACHE_BYTES: "0" }, placeOfMany);
      const response = postRaw(server.port, { user, client_id: b });
      await until(() => response.received() > 10_000);
      response.socket.destroy();
      const gets = await settled(() => proxy.count().get ?? 0);
      assert.ok(gets < MANY - 100, `${gets}`);
    });
  });

  describe("the S3 driver", () => {
    let driver: S3Driver;
    // One attempt, so that the SDK's retries do not matter. Not by the environment, which test files
    // share where each runs in a thread.
    const open = (place = newPlace(), more: { timeout?: number } = {}) =>
      S3Driver.open(place, { endpoint: proxy.url, maxAttempts: 1, ...more });
    const body = new TextEncoder().encode("payload");
    const stored = { user: someFingerprint(), client: newClient() };
    const name = formatName({ ...stored, first: 0, last: 0, md5: md5Of(body) });

    before(async () => {
      driver = await open();
    });
    after(async () => {
      await driver.close();
    });

    it("sends the MD5 that it is given, or else the body's, and none of the newer checksums", async () => {
      const md5 = md5Of(body);
      proxy.seen.length = 0;
      await driver.put(name, body, { md5 });
      await driver.put(`${stored.user}.other`, body);
      const headers = proxy.seen[0]?.headers ?? {};
      assert.equal(headers["content-md5"], Buffer.from(md5, "hex").toString("base64"));
      assert.equal(proxy.seen[1]?.headers["content-md5"], headers["content-md5"]);
      assert.deepEqual(
        Object.keys(headers).filter((header) => /checksum|trailer|content-encoding/.test(header)),
        [],
      );
    });

    it("puts without a condition once the service has answered that it knows none", async () => {
      const driver = await open();
      const answers: number[] = [];
      proxy.meddleAnswer = ({ kind, headers }, answer) => {
        const unknown = kind === "put" && headers["if-none-match"] !== undefined;
        const status = unknown ? 501 : answer.status;
        if (kind === "put") answers.push(status);
        return { status, body: unknown ? Buffer.from(NOT_IMPLEMENTED) : answer.body };
      };
      const puts = (names: readonly string[]) =>
        Promise.all(
          names.map((name) => driver.put(`${stored.user}.${name}`, body, { md5: md5Of(body) })),
        );
      await puts(["a", "b"]);
      assert.deepEqual(answers.toSorted(), [200, 200, 501, 501]);
      answers.length = 0;
      await puts(["a", "c"]);
      assert.deepEqual(answers, [200, 200]);
      await driver.close();
    });

    it("stores an object whose name a service calls taken, and does not find", async () => {
      const driver = await open();
      proxy.meddleAnswer = ({ kind, headers }, answer) => {
        const problem = (status: number, code: string) => ({
          status,
          body: Buffer.from(`<Error><Code>${code}</Code></Error>`),
        });
        if (kind === "get") return problem(404, "NoSuchKey");
        const isConditional = headers["if-none-match"] !== undefined;
        return isConditional ? problem(412, "PreconditionFailed") : answer;
      };
      proxy.seen.length = 0;
      await driver.put(`${stored.user}.taken`, body, { md5: md5Of(body) });
      assert.deepEqual(proxy.count(), { put: 2, get: 1 });
      await driver.close();
    });

    for (const md5 of [md5Of(body), undefined]) {
      const of = md5 === undefined ? "an object without an MD5" : "an object";
      const problem = (status: number, code: string) => ({
        status,
        body: Buffer.from(`<Error><Code>${code}</Code></Error>`),
      });
      /** Has the first puts and gets answered as while another server stores the same object. */
      const conflicting = (conflicts: number, misses: number) => {
        const left = { put: conflicts, get: misses, list: 0, delete: 0 };
        proxy.meddleAnswer = ({ kind }, answer) => {
          if (left[kind]-- <= 0) return answer;
          return kind === "put"
            ? problem(409, "ConditionalRequestConflict")
            : problem(404, "NoSuchKey");
        };
        proxy.seen.length = 0;
      };

      it(`takes ${of} for stored that another server was storing, once it finds it`, async () => {
        const driver = await open();
        for (const { misses, requests } of [
          { misses: 0, requests: { put: 1, get: 1 } },
          { misses: 2, requests: { put: 3, get: 3 } },
        ]) {
          conflicting(misses + 1, misses);
          await driver.put(`${stored.user}.at-once`, body, { md5 });
          assert.deepEqual(proxy.count(), requests);
          for (const { kind, headers } of proxy.seen)
            if (kind === "put") assert.equal(headers["if-none-match"], "*");
        }
        await driver.close();
      });

      it(`fails a put of ${of} that S3 calls under way and does not show`, async () => {
        const driver = await open();
        conflicting(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
        await assert.rejects(driver.put(`${stored.user}.under-way`, body, { md5 }), {
          name: "StorageUnavailable",
          reason: "another request for the same object is under way",
        });
        assert.deepEqual(proxy.count(), { put: 5, get: 5 });
        await driver.close();
      });
    }

    it("fails a put whose body was damaged on the way", async () => {
      const other = formatName({ ...stored, first: 1, last: 1, md5: md5Of(body) });
      proxy.meddleRequest = (_seen, sent) =>
        Buffer.from(sent.map((byte, i) => (i === 3 ? 0 : byte)));
      await assert.rejects(driver.put(other, body, { md5: md5Of(body) }), StorageUnavailable);
      proxy.meddleRequest = (_seen, sent) => sent;
      await assert.rejects(driver.get(other), ObjectMissing);
    });

    it("throws for a body that breaks off, and never returns a part of it", async () => {
      proxy.meddleAnswer = ({ kind }, answer) => (kind === "get" ? "cut" : answer);
      await assert.rejects(driver.get(name), StorageUnavailable);
    });

    it("throws for a list that is truncated, has no next page or repeats a page", async () => {
      await driver.put(name, body);
      // As if the service had more pages.
      for (const token of ["", "<NextContinuationToken>next</NextContinuationToken>"]) {
        let page: Buffer | undefined;
        proxy.seen.length = 0;
        proxy.meddleAnswer = (_seen, answer) => {
          const more = `<IsTruncated>true</IsTruncated>${token}`;
          page ??= Buffer.from(
            answer.body.toString().replace("<IsTruncated>false</IsTruncated>", more),
          );
          return { status: 200, body: page };
        };
        await assert.rejects(driver.list(stored.user), StorageUnavailable);
        assert.deepEqual(proxy.count(), { list: token === "" ? 1 : 2 });
      }
      proxy.meddleAnswer = () => "cut";
      await assert.rejects(driver.list(stored.user), StorageUnavailable);
    });

    it("throws for a 200 that does not come from S3, such as a proxy or a maintenance page", async () => {
      for (const text of ["", "<html><body>We are away for a moment.</body></html>", "{}"]) {
        proxy.meddleAnswer = () => ({ status: 200, body: Buffer.from(text), strange: true });
        await assert.rejects(driver.list(stored.user), StorageUnavailable, text);
        await assert.rejects(driver.put(`${stored.user}.away`, body), StorageUnavailable, text);
        await assert.rejects(driver.get(name), StorageUnavailable, text);
        await assert.rejects(open(), StorageUnavailable, text);
      }
    });

    it("takes a page with an ETag for no object, and an object of another size for what it is", async () => {
      await driver.put(name, body);
      proxy.meddleAnswer = (_seen, { status }) => ({ status, body: Buffer.from("We are away.") });
      await assert.rejects(driver.get(name, body.byteLength), StorageUnavailable);
      proxy.meddleAnswer = (_seen, answer) => answer;
      assert.deepEqual(Buffer.from(await driver.get(name, 1)), Buffer.from(body));
    });

    it("prints nothing of its own, so that standard error is the log", async () => {
      const { code, stderr } = await runToEnd(["usage", newPlace()], {});
      assert.deepEqual([code, stderr], [0, ""]);
    });

    it("says how far ahead the clock of the service is, by its last answer", async () => {
      await driver.list("");
      assert.ok(Math.abs(driver.clockOffset()) < 30_000, `${driver.clockOffset()}`);
      proxy.meddleAnswer = (_seen, answer) => {
        return { ...answer, date: new Date(Date.now() + 400_000).toUTCString() };
      };
      await driver.list("");
      assert.ok(Math.abs(driver.clockOffset() - 400_000) < 30_000, `${driver.clockOffset()}`);
      // The service still takes what is signed by that time.
      await driver.put("clock", Buffer.from("x"));
      assert.equal(Buffer.from(await driver.get("clock")).toString(), "x");
    });

    it("times out a request whose response stops in the middle, and works again after it", async () => {
      // On a busy machine, a request that works takes as long as this at times.
      const impatient = await open(newPlace(), { timeout: 2000 });
      await impatient.put(name, body);
      proxy.meddleAnswer = () => "stall";
      await assert.rejects(impatient.get(name), StorageUnavailable);
      await assert.rejects(impatient.list(stored.user), StorageUnavailable);
      proxy.meddleAnswer = (_seen, answer) => answer;
      assert.deepEqual(Buffer.from(await impatient.get(name)), Buffer.from(body));
      await impatient.close();
    });

    it("answers 503 with Retry-After when S3 asks to slow down", async () => {
      const server = await startServer({
        STORAGE: newPlace(),
        AWS_ENDPOINT_URL: proxy.url,
        AWS_MAX_ATTEMPTS: "1",
      });
      proxy.meddleAnswer = () => ({
        status: 503,
        body: Buffer.from("<Error><Code>SlowDown</Code><Message>slow</Message></Error>"),
      });
      const answer = await sync(server.url, { user: newUser().base64, client_id: newClient() });
      assert.equal(answer.status, 503);
      assert.equal(answer.headers.get("retry-after"), "5");
      const ready = await fetch(new URL("/ready", server.url));
      assert.equal(ready.status, 503);
      assert.match(await ready.text(), /it asks to slow down/);
      await server.end("SIGTERM");
    });
  });

  describe("a server that cannot use its bucket", () => {
    const onDeno = onlyOn("Deno", "the text is the same, whatever prints it");
    const rows = [
      ["no bucket", { STORAGE: "s3://no-such-bucket/x" }, /the bucket does not exist .*STORAGE/],
      [
        "a wrong secret",
        { AWS_SECRET_ACCESS_KEY: "wrong" },
        /access is refused .*AWS_SECRET_ACCESS/,
      ],
      [
        "no server at its address",
        { AWS_ENDPOINT_URL: "http://127.0.0.1:9" },
        /not reachable .*AWS_ENDPOINT_URL/,
      ],
      ["no region", { AWS_REGION: "" }, /there is no region .*AWS_REGION/],
      ["no bucket name", { STORAGE: "s3://" }, /STORAGE must be .*s3:\/\/bucket/],
    ] as const;
    for (const [what, settings, message] of rows) {
      // How an address is not reached is the runtime's word; the rest is that of S3, or the settings'.
      const isEverywhere = what === "no server at its address";
      const where = isEverywhere ? { skip: false, note: "" } : onDeno;
      it(`says in one line what to check, and exits: ${what}${where.note}`, {
        skip: where.skip,
      }, async () => {
        const environment = { PORT: "0", STORAGE: newPlace(), AWS_MAX_ATTEMPTS: "1", ...settings };
        const { code, stderr } = await runToEnd([], environment);
        const lines = stderr
          .split("\n")
          .filter((line) => line.startsWith("could not") || message.test(line));
        assert.equal(code, 1, stderr);
        assert.equal(lines.length, 1, stderr);
        assert.match(lines[0] ?? "", message);
        assert.doesNotMatch(stderr, /UnknownError/, "the SDK's word for nothing");
      });
    }
  });
}
