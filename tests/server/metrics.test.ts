import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { readConfig } from "../../server/config.ts";
import { createLogger } from "../../server/logger.ts";
import { RequestDurations } from "../../server/request-durations.ts";
import { createHandler } from "../../server.ts";
import { StorageUnavailable } from "../../storage/driver.ts";
import { InstrumentedDriver } from "../../storage/instrumented.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { openStorage } from "../../storage/open.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { HookedDriver } from "../support/drivers.ts";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere, sync, withServer } from "../support/http.ts";
import { storeRun } from "../support/logs.ts";
import { metricsOf } from "../support/metrics.ts";
import { newClient, newUser } from "../support/users.ts";

const user = newUser().base64;
const client = newClient();
const payload = "a payload that nobody may see again";

type Values = Map<string, number>;

/** The values in a text of metrics, by name and labels. */
function valuesIn(text: string): Values {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const blank = line.lastIndexOf(" ");
      return [line.slice(0, blank), Number(line.slice(blank + 1))];
    }),
  );
}

/** Serves from a folder that is removed. */
async function servingWithoutFolder(
  work: (server: Serving, path: string) => Promise<void>,
): Promise<void> {
  const { path, remove } = temporaryFolder();
  const driver = await openStorage(path);
  remove();
  await withServer({}, (server) => work(server, path), driver);
}

describe("GET /metrics", () => {
  const append = { user, client_id: client, operation_index: 1, payload: "the second" };
  let server: Serving;
  let earlier: Values;

  before(async () => {
    // Without caches, every request to storage shows.
    server = await serveHere({ LISTING_TTL: "0", OBJECT_CACHE_BYTES: "0" });
    await sync(server.url, { ...append, operation_index: 0, payload });
  });
  after(() => server.close());
  beforeEach(async () => {
    earlier = valuesIn(await metricsOf(server.url));
  });

  /** By how much the counters with some names have changed since the test began. */
  async function moved(...names: string[]): Promise<Record<string, number>> {
    const moves: Record<string, number> = {};
    for (const [name, value] of valuesIn(await metricsOf(server.url))) {
      const by = value - (earlier.get(name) ?? 0);
      if (by !== 0 && names.some((start) => name.startsWith(start))) moves[name] = by;
    }
    return moves;
  }

  const operations = (result: string) => `sync_operations_total{result="${result}"}`;
  const requests = (kind: string) => `sync_storage_requests_total{kind="${kind}"}`;
  const bytes = (direction: string) => `sync_storage_bytes_total{direction="${direction}"}`;

  const steps: [string, unknown, number, Record<string, number>][] = [
    [
      "an append",
      append,
      200,
      {
        [operations("stored")]: 1,
        [requests("list")]: 2,
        [requests("put")]: 1,
        [bytes("written")]: append.payload.length,
      },
    ],
    // It is read, because two payloads can share an MD5.
    [
      "a retry",
      append,
      200,
      {
        [operations("retried")]: 1,
        [requests("list")]: 2,
        [requests("get")]: 1,
        [bytes("read")]: append.payload.length,
      },
    ],
    [
      "a conflict",
      { ...append, payload: "another" },
      409,
      { [operations("conflict")]: 1, [requests("list")]: 2 },
    ],
    [
      "a gap",
      { ...append, operation_index: 7 },
      409,
      { [operations("gap")]: 1, [requests("list")]: 2 },
    ],
    [
      "a delivery",
      { user, client_id: newClient(), sync_status: { [client]: 0 } },
      200,
      {
        [operations("delivered")]: 1,
        [requests("list")]: 1,
        [requests("get")]: 1,
        [bytes("read")]: append.payload.length,
      },
    ],
    ["a request that is refused", { user }, 400, {}],
  ];
  for (const [what, request, status, expected] of steps) {
    it(`counts ${what} and its requests to storage`, async () => {
      assert.equal((await sync(server.url, request)).status, status);
      const counters = ["requests", "failures", "bytes"].map((of) => `sync_storage_${of}_total`);
      assert.deepEqual(await moved("sync_operations_total", ...counters), expected);
    });
  }

  it("counts answers by route and status, and any other path as one", async () => {
    await sync(server.url, { user });
    await (await fetch(new URL(`/nothing/${client}`, server.url))).text();
    await (await fetch(new URL(`/health?${client}`, server.url))).text();
    assert.deepEqual(await moved("sync_request_seconds_count"), {
      'sync_request_seconds_count{route="/sync",status="400"}': 1,
      'sync_request_seconds_count{route="other",status="404"}': 1,
      'sync_request_seconds_count{route="/health",status="200"}': 1,
      // The request that the test began with.
      'sync_request_seconds_count{route="/metrics",status="200"}': 1,
    });
  });

  it("has the durations of requests in cumulative buckets, with their sum and count", () => {
    const durations = new RequestDurations();
    for (const seconds of [0.0005, 0.001, 0.02, 7]) durations.of("/sync", 200).head.add(seconds);
    durations.of("/sync", 200).end.add(45);
    durations.of("other", 404).head.add(0.25);
    const values = valuesIn(durations.text());
    const bucket = (le: string) => `sync_request_seconds_bucket{le="${le}",`;
    const labels = 'route="/sync",status="200"}';
    const expected: [string, number][] = [
      ["0.001", 2],
      ["0.005", 2],
      ["0.01", 2],
      ["0.05", 3],
      ["0.1", 3],
      ["0.5", 3],
      ["1", 3],
      ["5", 3],
      ["+Inf", 4],
    ];
    for (const [le, count] of expected) assert.equal(values.get(bucket(le) + labels), count, le);
    assert.equal(values.get(`sync_request_seconds_sum{${labels}`), 7.0215);
    assert.equal(values.get(`sync_request_seconds_count{${labels}`), 4);
    const other = 'route="other",status="404"}';
    assert.equal(values.get(bucket("0.1") + other), 0);
    assert.equal(values.get(bucket("0.5") + other), 1);
    const end = (le: string) => values.get(`sync_answer_seconds_bucket{le="${le}",${labels}`);
    assert.deepEqual(["30", "120", "600", "+Inf"].map(end), [0, 1, 1, 1]);
    assert.equal(values.size, 2 * 11 + 2 * 14);
  });

  it("counts the requests that are refused with 429", async () => {
    const work = async ({ url }: Serving) => {
      const statuses = [];
      for (let i = 0; i < 3; i++)
        statuses.push((await sync(url, { user, client_id: client })).status);
      assert.deepEqual(statuses, [200, 429, 429]);
      assert.equal(valuesIn(await metricsOf(url)).get("sync_rate_limited_total"), 2);
    };
    await withServer({ RATE_LIMIT: "0.001", RATE_BURST: "1" }, work);
  });

  it("counts the hits of the caches, and what they hold", async () => {
    // Compaction, once the user rests, would be one more hit.
    await withServer({ COMPACTION: "off" }, async ({ url }) => {
      await sync(url, { ...append, operation_index: 0 });
      for (let i = 0; i < 3; i++) await sync(url, { user, client_id: newClient() });
      const values = valuesIn(await metricsOf(url));
      assert.equal(values.get(requests("list")), 1);
      assert.equal(values.get(requests("get")), 0);
      assert.equal(values.get('sync_listing_cache_total{event="load"}'), 1);
      assert.equal(values.get('sync_listing_cache_total{event="hit"}'), 4);
      assert.equal(values.get('sync_object_cache_total{event="hit"}'), 3);
      assert.ok((values.get("sync_listing_cache_runs") ?? 0) > 0);
      assert.ok((values.get("sync_object_cache_bytes") ?? 0) >= append.payload.length);
    });
  });

  it("counts the objects that compaction stores and deletes, and its failures", async () => {
    const storage = new HookedDriver(new MemoryDriver());
    const compaction = {
      limits: { operations: 4, bytes: 100_000 },
      timing: { debounce: 0, maxDelay: 0, deleteDelay: 0, backoff: 0 },
    };
    const runs = { user: fingerprintOf(user), client };
    for (let i = 0; i < 6; i++) await storeRun(storage, runs.user, runs.client, i, `${i}`);
    const work = async (server: Serving) => {
      const compacted = async () => {
        await server.compacted();
        const values = valuesIn(await metricsOf(server.url));
        return ["stored", "deleted", "failed"].map((event) =>
          values.get(`sync_compaction_total{event="${event}"}`),
        );
      };
      assert.deepEqual(await compacted(), [0, 0, 0]);
      let refused = 0;
      storage.before = ({ kind }) => {
        if (kind === "put" && refused++ === 0) throw new StorageUnavailable("no room");
      };
      const poll = { user, client_id: newClient(), sync_status: { [client]: 5 } };
      assert.equal((await sync(server.url, poll)).status, 200);
      assert.deepEqual(await compacted(), [0, 0, 1]);
      assert.equal((await sync(server.url, poll)).status, 200);
      assert.deepEqual(await compacted(), [1, 5, 1]);
      assert.equal(server.log.filter((line) => line.includes("a compaction failed")).length, 1);
    };
    await withServer({}, work, storage, compaction);
  });

  it("counts forks that lie inside segments, once", async () => {
    const storage = new MemoryDriver();
    const fingerprint = fingerprintOf(user);
    await storeRun(storage, fingerprint, client, 0, "zero", "one", "two");
    await storeRun(storage, fingerprint, client, 0, "zero", "another", "third");
    // This one only looks like a fork: the segments hold the same operation.
    await storeRun(storage, fingerprint, client, 0, "zero");
    await withServer(
      { LISTING_TTL: "0" },
      async ({ url, log }) => {
        const forks = async () =>
          valuesIn(await metricsOf(url)).get('sync_log_damage_total{kind="fork"}') ?? 0;
        for (let i = 0; i < 3; i++) {
          const { operations } = await sync(url, { user, client_id: newClient() });
          assert.equal(operations.length, 5);
          assert.equal(await forks(), 2);
        }
        const reports = log.filter((line) => line.includes("forks"));
        assert.equal(reports.length, 1, reports.join("\n"));
      },
      storage,
    );
  });

  it("is answered in the text format of Prometheus", async () => {
    const { status, headers } = await fetch(new URL("/metrics", server.url));
    assert.equal(status, 200);
    assert.match(headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  });

  it("T-23 names no user, no client and no payload", async () => {
    const text = await metricsOf(server.url);
    const fingerprint = fingerprintOf(user);
    for (const secret of [user.slice(0, 64), user.slice(-64), client, payload, append.payload]) {
      assert.ok(!text.includes(secret), secret);
    }
    assert.ok(!text.includes(fingerprint.slice(0, 8)));
  });
});

describe("GET /health", () => {
  it("is a 200 whether storage answers or not", async () => {
    await servingWithoutFolder(async ({ url }) => {
      const response = await fetch(new URL("/health", url));
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("cache-control"), "no-store");
      assert.deepEqual(await response.json(), { status: "ok" });
    });
  });
});

describe("GET /ready", () => {
  it("is a 200 when storage answers", async () => {
    await withServer({}, async ({ url }) => {
      const response = await fetch(new URL("/ready", url));
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("cache-control"), "no-store");
      assert.deepEqual(await response.json(), { status: "ready" });
    });
  });

  it("is a 503 when storage does not answer, and only the log says why", async () => {
    await servingWithoutFolder(async ({ url, log }, path) => {
      const response = await fetch(new URL("/ready", url));
      assert.equal(response.status, 503);
      assert.equal(response.headers.get("content-type"), "application/problem+json");
      assert.equal(response.headers.get("retry-after"), "5");
      const text = await response.text();
      const problem: Record<string, unknown> = JSON.parse(text);
      assert.equal(problem.type, "urn:sync-server:storage-unavailable");
      assert.equal(problem.status, 503);
      assert.doesNotMatch(text, /ENOENT|no such file/);
      assert.ok(!text.includes(path));
      const reason = log.find((line) => JSON.parse(line).level === "error") ?? "";
      assert.match(reason, /StorageUnavailable.*ENOENT/);
      assert.ok(reason.includes(path));
      const values = valuesIn(await metricsOf(url));
      assert.equal(values.get('sync_storage_failures_total{kind="put"}'), 1);
    });
  });

  it("asks storage at most once a second, for any number of requests", async () => {
    const driver = new InstrumentedDriver(new MemoryDriver());
    let milliseconds = 0;
    const handler = createHandler({
      config: readConfig({}),
      driver,
      logger: createLogger("silent"),
      now: () => milliseconds,
    });
    const ask = async () => {
      const asked = Array.from({ length: 20 }, () =>
        handler.fetch(new Request("http://localhost/ready")),
      );
      for (const { status } of await Promise.all(asked)) assert.equal(status, 200);
    };
    await ask();
    milliseconds += 999;
    await ask();
    assert.equal(driver.requests.list, 1);
    milliseconds += 2;
    await ask();
    assert.equal(driver.requests.list, 2);
  });

  it("has the metrics of the process from each server in it", async () => {
    const options = () => ({
      config: readConfig({}),
      driver: new MemoryDriver(),
      logger: createLogger("silent"),
    });
    const servers = [createHandler(options()), createHandler(options())];
    for (const { fetch } of servers) {
      const response = await fetch(new Request("http://localhost/metrics"));
      const values = valuesIn(await response.text());
      assert.ok((values.get("process_cpu_seconds_total") ?? 0) > 0);
    }
  });
});
