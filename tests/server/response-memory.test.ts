import assert from "node:assert/strict";
import { linkSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { formatName } from "../../oplog/names.ts";
import { md5Of, StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { HookedDriver } from "../support/drivers.ts";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere, sync } from "../support/http.ts";
import { metricOf } from "../support/metrics.ts";
import { startServer } from "../support/process.ts";
import { postRaw, settled, until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";

const user = newUser().base64;
const fingerprint = fingerprintOf(user);
const client = newClient();
const request = { user, client_id: newClient() };

/** The names of objects that all have the same body. */
function namesOf(body: Uint8Array): (index: number) => string {
  const md5 = md5Of(body);
  return (index) => formatName({ user: fingerprint, client, first: index, last: index, md5 });
}

describe("a response of many operations", () => {
  // Far more than the buffers between server and reader hold.
  const OPERATIONS = 2000;
  const body = new TextEncoder().encode("p".repeat(16 * 1024));
  const nameOf = namesOf(body);
  const storage = new MemoryDriver();
  let driver: HookedDriver;
  let server: Serving;

  before(async () => {
    for (let i = 0; i < OPERATIONS; i++) await storage.put(nameOf(i), body);
  });
  beforeEach(async () => {
    driver = new HookedDriver(storage);
    server = await serveHere({ OBJECT_CACHE_BYTES: "0", COMPACTION: "off" }, driver);
  });
  afterEach(() => server.close());
  after(() => storage.close());

  const gets = () => driver.count("get");
  // The request for the metrics counts as well.
  const running = async () => (await metricOf(server.url, "sync_requests_running")) - 1;

  it("arrives complete, with as many lines as Operation-Count says", async () => {
    const { operations } = await sync(server.url, request);
    assert.equal(operations.length, OPERATIONS);
    assert.ok(operations.every((operation, i) => operation.operation_index === i));
  });

  it("starts before the last operation is read from storage", async () => {
    driver.before = ({ kind }) =>
      kind === "get" && gets() >= OPERATIONS / 2 ? new Promise(() => undefined) : undefined;
    const response = postRaw(server.port, request);
    await until(() => response.start().includes('"operation_index":0'));
    assert.match(response.start(), /operation-count: 2000/i);
    assert.ok(gets() <= OPERATIONS / 2);
    response.socket.destroy();
  });

  it("is read from storage only as fast as its reader takes it", async () => {
    const response = postRaw(server.port, request);
    await until(() => response.received() > 100_000);
    response.socket.pause();
    const atPause = await settled(gets);
    assert.ok(
      atPause < OPERATIONS / 2,
      `${atPause} of ${OPERATIONS} were read although none was taken`,
    );
    response.socket.resume();
    assert.equal(await response.complete, true);
    assert.equal(gets(), OPERATIONS);
  });

  it("ends the work when its reader disconnects, and is not an error", async () => {
    const response = postRaw(server.port, request);
    await until(() => response.received() > 100_000);
    response.socket.pause();
    await settled(gets);
    response.socket.destroy();
    const atEnd = await settled(gets);
    assert.ok(atEnd < OPERATIONS / 2);
    await until(async () => (await running()) === 0);
    assert.ok(!server.log.some((line) => line.includes('"error"')), server.log.join(""));
  });

  it("breaks the connection when storage fails midway, and logs it", async () => {
    for (const failing of [OPERATIONS - 1, 200]) {
      const failingName = nameOf(failing);
      driver.before = ({ kind, name }) => {
        if (kind === "get" && name === failingName) {
          throw new StorageUnavailable("the disk is gone");
        }
      };
      const response = postRaw(server.port, request);
      assert.equal(await response.complete, false);
      assert.match(response.start(), /^HTTP\/1\.1 200/);
      await assert.rejects(sync(server.url, request));
    }
    const cuts = server.log.filter((line) => line.includes("a response was cut"));
    assert.equal(cuts.length, 4);
    assert.match(cuts[0] ?? "", /the disk is gone/);
    assert.equal(await running(), 0);
  });

  it("is a 503 when storage fails before the first operation", async () => {
    driver.before = ({ kind }) => {
      if (kind === "get") throw new StorageUnavailable("the disk is gone");
    };
    const { status, headers, problem } = await sync(server.url, request);
    assert.equal(status, 503);
    assert.equal(problem.type, "urn:sync-server:storage-unavailable");
    assert.equal(headers.get("retry-after"), "5");
    assert.equal(await running(), 0);
  });
});

describe("a log of many megabytes", () => {
  // Far more than the garbage at any moment, which does not grow with the log.
  const OPERATIONS = 1250;
  const body = new TextEncoder().encode("p".repeat(200_000));
  const folder = temporaryFolder();
  after(() => folder.remove());

  before(() => {
    // All operations have the same payload, so that their files can be links to one.
    mkdirSync(join(folder.path, fingerprint));
    const nameOf = namesOf(body);
    const pathOf = (index: number) => join(folder.path, fingerprint, nameOf(index));
    writeFileSync(pathOf(0), body);
    for (let i = 1; i < OPERATIONS; i++) linkSync(pathOf(0), pathOf(i));
  });

  it("is served from a folder in a fraction of the memory that it would fill", async (t) => {
    // Without compaction, which would pack the log meanwhile and needs memory itself.
    const settings = { OBJECT_CACHE_BYTES: "1MiB", COMPACTION: "off" };
    const server = await startServer({ STORAGE: folder.path, ...settings });
    // Where an assertion fails, a server that runs would keep this process running.
    t.after(() => server.end("SIGKILL"));
    const read = async (first: number) => {
      const sync_status = first > 0 ? { [client]: first - 1 } : {};
      const response = postRaw(server.port, { ...request, sync_status });
      assert.equal(await response.complete, true);
      return response;
    };
    // The listing is kept in memory, within LISTING_CACHE_RUNS, and any answer leaves garbage.
    await read(OPERATIONS * 0.8);
    const before = peakMemory(server.pid);
    const response = await read(0);
    const bytes = response.received();
    const grown = peakMemory(server.pid) - before;
    assert.match(response.start(), new RegExp(`operation-count: ${OPERATIONS}`, "i"));
    assert.ok(bytes > OPERATIONS * body.length);
    assert.ok(grown < bytes / 3, `${grown} bytes more for a response of ${bytes}`);
    assert.equal(await server.end("SIGTERM"), 0);
  });
});

/** The most memory a process has had so far, in bytes. */
function peakMemory(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
