/** The board and the alerts in `deploy/` ask for what the server really has. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { MemoryHub } from "../../cluster/memory.ts";
import { openStorage } from "../../storage/open.ts";
import { blocksOf, read, section } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { serveHere, sync } from "../support/http.ts";
import { metricsOf } from "../support/metrics.ts";
import { missingIn, type Samples, samplesOf, selectorsOf } from "../support/promql.ts";
import { until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const board: { readonly panels: readonly Panel[] } = JSON.parse(read("deploy/grafana.json"));
const queries = board.panels.flatMap(({ title, targets = [] }) =>
  targets.map((target) => ({ title, ...target })),
);
const alerts = [
  ...read("deploy/alerts.yaml").matchAll(/^ {6}- alert: (\w+)\n {8}expr: (.+)$/gm),
].map(([, name = "", expr = ""]) => ({ name, expr }));

/** A server with a folder and a cluster: what it has at its start, and once it has done something. */
async function scrapes(): Promise<{ readonly atStart: Samples; readonly samples: Samples }> {
  const folder = temporaryFolder();
  const driver = await openStorage(folder.path);
  const compaction = { timing: { scanStep: 0 } };
  const server = await serveHere({}, driver, compaction, new MemoryHub().join());
  const atStart = samplesOf(await metricsOf(server.url));
  const user = newUser().base64;
  const append = { user, client_id: newClient(), operation_index: 0, payload: "a payload" };
  assert.equal((await sync(server.url, append)).status, 200);
  assert.equal((await sync(server.url, { user, client_id: newClient() })).operations.length, 1);
  // The scan of users may have come past this one before it has appended.
  await until(async () => /^sync_stored_users [01]$/m.test(await metricsOf(server.url)));
  const samples = samplesOf(await metricsOf(server.url));
  await server.close();
  await driver.close();
  folder.remove();
  return { atStart, samples };
}

describe("deploy/grafana.json", () => {
  let atStart: Samples = new Map();
  let samples: Samples = new Map();
  before(async () => {
    ({ atStart, samples } = await scrapes());
  });

  it("has queries whose metrics and labels the server has", () => {
    assert.ok(queries.length > 30);
    for (const { title, expr } of queries) {
      assert.deepEqual(missingIn(samples, expr), [], `${title}: ${expr}`);
    }
  });

  it("names in its legends what the queries group by, or the server", () => {
    for (const { title, expr, legendFormat } of queries) {
      const by = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(", ") ?? ["instance"];
      for (const [, label = ""] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
        assert.ok(by.includes(label), `${title}: ${label} of ${expr}`);
      }
    }
  });

  it("has panels with ids of their own that do not lie upon each other", () => {
    const ids = board.panels.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    const places = board.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    assert.equal(new Set(places).size, places.length);
  });

  it("shows every metric of the product but those of what hardly ever happens", () => {
    const shown = new Set(
      queries.flatMap(({ expr }) => selectorsOf(expr).map(({ metric }) => metric)),
    );
    const all = [...samples.keys()]
      .filter((name) => name.startsWith("sync_"))
      .map((name) => name.replace(/_(?:bucket|sum|count)$/, ""));
    const isShown = (name: string) =>
      ["", "_bucket", "_count"].some((end) => shown.has(name + end));
    assert.deepEqual([...new Set(all)].filter((name) => !isShown(name)).sort(), [
      "sync_erased_objects_total",
      "sync_listing_cache_runs",
      "sync_log_lines_lost_total",
      "sync_object_cache_bytes",
      "sync_rate_limited_total",
      "sync_snapshots_total",
      "sync_stalled_total",
      "sync_stored_counted_timestamp_seconds",
      "sync_stored_objects",
      "sync_users_total",
    ]);
  });

  it("is answered what is missing, by the check itself", () => {
    const missing = (query: string) => missingIn(samples, query).length;
    assert.equal(missing("sum(rate(sync_operations_total[5m]))"), 0);
    assert.equal(missing("sum(rate(sync_operation_total[5m]))"), 1);
    assert.equal(missing('sync_operations_total{result="stored"}'), 0);
    assert.equal(missing('sync_operations_total{result="eaten"}'), 1);
    assert.equal(missing('sync_operations_total{outcome="stored"}'), 1);
    assert.equal(missing("sum by (outcome) (sync_operations_total)"), 1);
    assert.throws(() => missing("sum(snyc_operations_total)"), /snyc_operations_total is neither/);
  });

  describe("beside deploy/alerts.yaml", () => {
    it("has alerts whose metrics and labels the server has", () => {
      assert.ok(alerts.length > 10);
      assert.equal(alerts.length, [...read("deploy/alerts.yaml").matchAll(/alert:/g)].length);
      for (const { name, expr } of alerts) assert.deepEqual(missingIn(samples, expr), [], name);
    });

    it("has alerts for counters that have a sample before anything happens", () => {
      // `increase` does not see a counter that appears with its first event.
      const counters = alerts.filter(({ expr }) => expr.includes("increase("));
      assert.ok(counters.length > 5);
      for (const { name, expr } of counters) assert.deepEqual(missingIn(atStart, expr), [], name);
    });
  });
});

describe("Prometheus", () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  const promtool = (...args: string[]) =>
    execFileSync("promtool", args, { cwd: folder.path, encoding: "utf8" });
  const isThere = () => {
    try {
      promtool("--version");
      return true;
    } catch {
      return false;
    }
  };
  const skip = isThere() ? false : "needs promtool";

  it("takes the alerts, and the configuration that docs/operations.md shows", { skip }, () => {
    const [config = ""] = blocksOf(section(read("docs/operations.md"), "Watch"), "yaml");
    writeFileSync(join(folder.path, "prometheus.yaml"), config);
    writeFileSync(join(folder.path, "alerts.yaml"), read("deploy/alerts.yaml"));
    assert.match(promtool("check", "config", "prometheus.yaml"), /16 rules found/);
  });

  it("takes the queries of the board", { skip }, () => {
    const rules = queries.map(({ expr }, i) => ({
      record: `board:${i}`,
      expr: expr.replaceAll("$__rate_interval", "5m"),
    }));
    // JSON is YAML.
    const file = JSON.stringify({ groups: [{ name: "board", rules }] });
    writeFileSync(join(folder.path, "board.yaml"), file);
    assert.match(
      promtool("check", "rules", "board.yaml"),
      new RegExp(`${queries.length} rules found`),
    );
  });
});
