/** A real Prometheus, as docs/operations.md starts it, that asks real servers: alerts and the board on it. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { blocksOf, read, section } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { sync } from "../support/http.ts";
import { metricsOf } from "../support/metrics.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { freePort } from "../support/ports.ts";
import { type ServerProcess, startServer } from "../support/process.ts";
import { hasRedis, type Redis, startRedis } from "../support/redis.ts";
import { newPlace, removePlace, s3 } from "../support/s3.ts";
import { until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";

const isMissing = !hasRedis || spawnSync("prometheus", ["--version"]).error !== undefined;
const { skip, note } = onlyOn("Node", "the metrics are the same on all runtimes");
const why = isMissing && !skip ? " (skipped: there is no prometheus, or no redis-server)" : note;

/** How many seconds a query looks back: scrapes come each second. */
const LOOK_BACK = "20s";

interface Rule {
  readonly name: string;
  readonly health: string;
  readonly state: string;
  readonly lastError?: string;
}

/** What Prometheus answers: of a query, or of its rules. */
interface Asked {
  readonly status: string;
  readonly error?: string;
  readonly data: {
    readonly result?: readonly { readonly value: readonly [time: number, value: string] }[];
    readonly groups?: readonly { readonly rules: readonly Rule[] }[];
  };
}

describe(`Prometheus, with the files of deploy/${why}`, { skip: skip || isMissing }, () => {
  const folder = temporaryFolder();
  const servers: ServerProcess[] = [];
  let redis: Redis;
  let place: string | undefined;
  let api: string;
  let stop: () => Promise<void>;

  before(async () => {
    redis = await startRedis();
    const cluster = { CLUSTER: redis.url, STORAGE: join(folder.path, "data"), DEMO: "off" };
    servers.push(await startServer(cluster), await startServer(cluster));
    if (s3 !== undefined) {
      place = newPlace();
      servers.push(await startServer({ STORAGE: place }));
    }
    const [printed = ""] = blocksOf(section(read("docs/operations.md"), "Watch"), "yaml");
    const targets = servers.map(({ port }) => `"127.0.0.1:${port}"`).join(", ");
    const config = printed.replace('"127.0.0.1:8080"', targets);
    assert.notEqual(config, printed);
    const often = "global: { scrape_interval: 1s, evaluation_interval: 1s }\n";
    writeFileSync(join(folder.path, "prometheus.yml"), often + config);
    writeFileSync(join(folder.path, "alerts.yaml"), read("deploy/alerts.yaml"));
    ({ api, stop } = await startPrometheus(folder.path));
  });
  after(async () => {
    await stop();
    for (const server of servers) await server.end("SIGTERM");
    await redis.remove();
    if (place !== undefined) await removePlace(place);
    folder.remove();
  });

  const ask = async (path: string): Promise<Asked> => {
    const asked: Asked = JSON.parse(await (await fetch(`${api}/${path}`)).text());
    assert.equal(asked.status, "success", `${path}: ${asked.error}`);
    return asked;
  };

  /** The values of a query that can be drawn. */
  const query = async (expression: string): Promise<string[]> => {
    const { data } = await ask(`query?query=${encodeURIComponent(expression)}`);
    const values = (data.result ?? []).map(({ value: [, value] }) => value);
    return values.filter((value) => value !== "NaN");
  };

  /** What devices do, each kind of it. */
  async function use({ url }: ServerProcess): Promise<void> {
    const user = newUser().base64;
    const [a, b] = [newClient(), newClient()];
    for (let index = 0; index < 4; index++) {
      await sync(url, { user, client_id: a, operation_index: index, payload: `${index}` });
    }
    await sync(url, { user, client_id: b });
    const wait = { "Content-Type": "application/json", Prefer: "wait=1" };
    const body = JSON.stringify({ user, client_id: b, sync_status: { [a]: 3 } });
    await (await fetch(new URL("/sync", url), { method: "POST", headers: wait, body })).text();
    assert.equal((await sync(url, { user, client_id: "phone" })).status, 400);
  }

  it("scrapes every server, and has something to draw for each query of the board", async () => {
    const count = servers.length;
    await until(async () => (await query("up == 1")).length === count, "all servers are scraped");
    const board: { panels: { title: string; targets?: { expr: string }[] }[] } = JSON.parse(
      read("deploy/grafana.json"),
    );
    const drawn = board.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => {
        const named = expr.replaceAll("$__rate_interval", LOOK_BACK);
        return { title, expression: named.replaceAll("$instance", ".*") };
      }),
    );
    assert.ok(drawn.length > 30);
    // A rate takes two scrapes, and counters that have grown between them.
    // What is stored is counted by and by in the hour after the start.
    let missing = drawn.filter(({ expression }) => !expression.includes("sync_stored_"));
    assert.equal(drawn.length - missing.length, 2);
    for (let round = 0; round < 40 && missing.length > 0; round++) {
      await Promise.all(servers.map(use));
      const values = await Promise.all(missing.map(({ expression }) => query(expression)));
      missing = missing.filter((_, i) => values[i]?.length === 0);
    }
    const titles = missing.map(({ title }) => title);
    assert.deepEqual(titles, []);
  });

  it("finds nothing wrong with the names and the texts of the metrics", async () => {
    for (const { url } of servers) {
      const { status, stderr } = spawnSync("promtool", ["check", "metrics"], {
        input: await metricsOf(url),
        encoding: "utf8",
      });
      assert.deepEqual([status, stderr], [0, ""]);
    }
  });

  it("takes every alert, and has one for a server that has lost its cluster, and one that is down", async () => {
    const rules = async () => {
      const { data } = await ask("rules");
      return (data.groups ?? []).flatMap(({ rules }) => rules);
    };
    await until(async () => (await rules()).every(({ health }) => health !== "unknown"));
    const all = await rules();
    assert.equal(all.length, [...read("deploy/alerts.yaml").matchAll(/- alert:/g)].length);
    for (const { name, health, lastError } of all)
      assert.equal(health, "ok", `${name} ${lastError}`);
    const stateOf = async (name: string) =>
      (await rules()).find((rule) => rule.name === name)?.state;
    assert.deepEqual(
      [await stateOf("SyncClusterLost"), await stateOf("SyncServerDown")],
      ["inactive", "inactive"],
    );
    await redis.kill();
    // It has to last for some minutes before anybody is woken.
    await until(async () => (await stateOf("SyncClusterLost")) === "pending", "it is lost");
    await servers.at(-1)?.end("SIGTERM");
    await until(async () => (await stateOf("SyncServerDown")) === "pending", "it is down");
  });
});

async function startPrometheus(folder: string) {
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(
    "prometheus",
    [
      "--config.file=prometheus.yml",
      "--storage.tsdb.path=series",
      `--web.listen-address=${address}`,
    ],
    { cwd: folder, stdio: ["ignore", "ignore", "pipe"] },
  );
  let log = "";
  child.stderr.on("data", (data) => {
    log += data;
  });
  const ended = once(child, "close");
  await until(async () => {
    assert.equal(child.exitCode, null, log);
    return log.includes("Server is ready to receive web requests");
  }, "Prometheus is ready");
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
  };
  return { api: `http://${address}/api/v1`, stop };
}
