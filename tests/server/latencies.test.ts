/** What metrics and the log say of single requests, of calls to storage, and of the disk. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StorageUnavailable } from "../../storage/driver.ts";
import { InstrumentedDriver } from "../../storage/instrumented.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { openStorage } from "../../storage/open.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { gate, HookedDriver } from "../support/drivers.ts";
import { temporaryFolder } from "../support/folder.ts";
import { sync, withServer } from "../support/http.ts";
import { storeRun } from "../support/logs.ts";
import { metricOf, metricsOf } from "../support/metrics.ts";
import { inProcessServer, SERVER } from "../support/signing.ts";
import { newClient, newUser } from "../support/users.ts";

const user = newUser().base64;
const client = newClient();
const append = { user, client_id: client, operation_index: 0, payload: "a payload" };
/** More than leaves at once. */
const large = "p".repeat(100_000);

const poll = (members = {}) =>
  new Request(SERVER, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ user, client_id: newClient(), ...members }),
  });

/** The value of a metric of a server without a listener. */
async function valueIn(
  { handler }: ReturnType<typeof inProcessServer>,
  name: string,
): Promise<number> {
  const response = await handler.fetch(new Request("http://localhost/metrics"));
  const lines = (await response.text()).split("\n");
  return Number(lines.find((line) => line.startsWith(`${name} `))?.slice(name.length));
}

describe("the metrics of a folder", () => {
  it("have the time of calls to storage, the batches of the journal, and the room on the disk", async () => {
    const folder = temporaryFolder();
    const driver = await openStorage(folder.path);
    const work = async ({ url }: { url: string }) => {
      assert.equal((await sync(url, append)).status, 200);
      assert.equal(await metricOf(url, 'sync_storage_seconds_count{kind="put"}'), 1);
      assert.ok((await metricOf(url, 'sync_storage_seconds_sum{kind="put"}')) > 0);
      assert.equal(await metricOf(url, 'sync_storage_seconds_count{kind="delete"}'), 0);
      assert.equal(await metricOf(url, "sync_journal_batch_records_count"), 1);
      assert.equal(await metricOf(url, 'sync_journal_batch_records_bucket{le="1"}'), 1);
      const free = await metricOf(url, "sync_disk_free_bytes");
      assert.ok(free > 0 && free <= (await metricOf(url, "sync_disk_size_bytes")));
    };
    await withServer({ COMPACTION: "off" }, work, driver);
    await driver.close();
    folder.remove();
  });
});

describe("the metrics of a storage that nothing bounds", () => {
  it("say nothing about a disk, nor what is stored before that was counted", async () => {
    await withServer({}, async ({ url }) => {
      const samples = (await metricsOf(url)).split("\n").filter((line) => !line.startsWith("#"));
      for (const unknown of ["sync_disk_", "sync_stored_"]) {
        assert.ok(!samples.some((line) => line.startsWith(unknown)), unknown);
      }
    });
  });
});

describe("the metrics of a disk that cannot be looked at", () => {
  it("are left out, the others are there, and the log says why", async () => {
    const room = () => Promise.reject(new Error("the folder is gone"));
    const server = inProcessServer({ LOG: "error" }, Object.assign(new MemoryDriver(), { room }));
    const response = await server.handler.fetch(new Request("http://localhost/metrics"));
    const text = await response.text();
    assert.doesNotMatch(text, /^sync_disk_/m);
    assert.match(text, /^sync_requests_running /m);
    assert.match(server.log.join(""), /cannot be read.*the folder is gone/);
  });
});

describe("the metrics of a call to storage", () => {
  it("have the time and the failure of deletes that failed together", async () => {
    const deleteHeld = () => Promise.reject(new StorageUnavailable("away"));
    const calls: string[] = [];
    const inner = Object.assign(new MemoryDriver(), { deleteHeld });
    const driver = new InstrumentedDriver(inner, (kind) => calls.push(kind));
    await assert.rejects(async () => driver.deleteHeld?.([]), StorageUnavailable);
    assert.deepEqual(calls, ["delete"]);
    assert.equal(driver.failures.delete, 1);
  });

  it("have the time of one that failed", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    driver.before = () => {
      throw new StorageUnavailable("away");
    };
    const server = inProcessServer({}, driver);
    assert.equal((await server.handler.fetch(poll())).status, 503);
    assert.equal(await valueIn(server, 'sync_storage_seconds_count{kind="list"}'), 1);
  });
});

describe("the time of an answer", () => {
  it("ends with its last byte, and the time to its head does not", async () => {
    const driver = new MemoryDriver();
    for (let i = 0; i < 4; i++) await storeRun(driver, fingerprintOf(user), client, i, large);
    let now = 0;
    const server = inProcessServer({}, driver, { now: () => now });
    const labels = '{route="/sync",status="200"}';
    const response = await server.handler.fetch(poll());
    assert.equal(response.status, 200);
    const value = (name: string) => valueIn(server, name + labels);
    assert.equal(await value("sync_request_seconds_count"), 1);
    assert.equal(await value("sync_answer_seconds_count"), 0);
    now += 7000;
    assert.equal((await response.text()).split("\n").length, 5);
    assert.equal(await value("sync_request_seconds_sum"), 0);
    assert.equal(await value("sync_answer_seconds_count"), 1);
    assert.equal(await value("sync_answer_seconds_sum"), 7);
  });

  it("is that to its head where it has no body to read", async () => {
    const server = inProcessServer();
    assert.equal((await server.handler.fetch(poll())).status, 200);
    const name = 'sync_answer_seconds_count{route="/sync",status="200"}';
    assert.equal(await valueIn(server, name), 1);
  });
});

describe("the id of a request", () => {
  const idOf = ({ headers }: Response) => headers.get("request-id") ?? "";
  const entries = (log: readonly string[]): Record<string, unknown>[] =>
    log.map((line) => JSON.parse(line));

  it("is in every answer, another one for each, and in the line of the log", async () => {
    const { handler, log } = inProcessServer();
    const requests = [
      poll(),
      poll({ client_id: "none" }),
      new Request("http://sync.example/health"),
      new Request("http://sync.example/nothing"),
      new Request("http://sync.example/"),
    ];
    const ids = [];
    for (const request of requests) ids.push(idOf(await handler.fetch(request)));
    for (const id of ids) assert.match(id, /^[0-9a-f]{16}$/);
    assert.equal(new Set(ids).size, ids.length);
    const answered = entries(log).filter(({ message }) => message === "answered");
    assert.deepEqual(
      answered.map(({ request }) => request),
      ids,
    );
  });

  it("goes on to be another one after many requests", async () => {
    const { handler } = inProcessServer({ LOG: "silent" });
    const ids = new Set<string>();
    for (let i = 0; i < 600; i++) {
      ids.add(idOf(await handler.fetch(new Request("http://sync.example/health"))));
    }
    assert.equal(ids.size, 600);
  });

  it("is in the line about a storage that failed", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    driver.before = () => {
      throw new StorageUnavailable("away");
    };
    const { handler, log } = inProcessServer({ LOG: "error" }, driver);
    const id = idOf(await handler.fetch(poll()));
    const [entry] = entries(log);
    assert.deepEqual([entry?.message, entry?.request], ["storage failed", id]);
  });

  it("is in the line about an answer that was cut", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    for (let i = 0; i < 2; i++) await storeRun(driver, fingerprintOf(user), client, i, large);
    const { handler, log } = inProcessServer({ LOG: "error" }, driver);
    const { opened, open } = gate();
    driver.before = async ({ kind, name }) => {
      if (kind !== "get" || !name.includes(".0000000000000001.")) return;
      await opened;
      throw new StorageUnavailable("away");
    };
    const response = await handler.fetch(poll());
    assert.equal(response.status, 200);
    open();
    await assert.rejects(response.text());
    const [entry] = entries(log);
    assert.deepEqual([entry?.message, entry?.request], ["a response was cut", idOf(response)]);
  });
});
