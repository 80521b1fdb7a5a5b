/** The operator's page at `/status`. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { MemoryHub } from "../../cluster/memory.ts";
import { readConfig } from "../../server/config.ts";
import { bytesText, countText, durationText, escaped } from "../../server/format.ts";
import { createLogger } from "../../server/logger.ts";
import { chart } from "../../server/status/chart.ts";
import { MOST_SAMPLES, type StoredSample, thinned } from "../../server/status/stored-history.ts";
import { createHandler, type HandlerOptions } from "../../server.ts";
import { StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { openStorage } from "../../storage/open.ts";
import { HookedDriver } from "../support/drivers.ts";
import { temporaryFolder } from "../support/folder.ts";
import { serveHere, sync } from "../support/http.ts";
import { storeEach } from "../support/logs.ts";
import { NO_LIMITS } from "../support/process.ts";
import { until } from "../support/socket.ts";
import { newClient, newUser, someFingerprint } from "../support/users.ts";

const TOKEN = "a-token:that only".replaceAll(" ", "-").padEnd(24, "x");

const basic = (password: string, user = "operator") => ({
  Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
});

/** A server without a network. */
function handlerOf(
  settings: Readonly<Record<string, string>> = {},
  options: Partial<HandlerOptions> = {},
) {
  const config = readConfig({ ...NO_LIMITS, LOG: "debug", STATUS_TOKEN: TOKEN, ...settings });
  const log: string[] = [];
  const logger = createLogger(config.LOG, (line) => log.push(line));
  const handler = createHandler({ config, driver: new MemoryDriver(), logger, ...options });
  const ask = async (
    headers: Readonly<Record<string, string>> = {},
    { ip = "192.0.2.1", method = "GET" } = {},
  ) => {
    const request = new Request("http://sync.example/status", { method, headers });
    const response = await handler.fetch(Object.assign(request, { ip }));
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  return { handler, log, ask };
}

/** The texts of a page by their names, as a reader sees them. */
function factsOf(html: string): Map<string, string> {
  const pairs = html.matchAll(/<dt>(.*?)<\/dt><dd>(.*?)<\/dd>/g);
  return new Map([...pairs].map(([, name = "", text = ""]) => [name, text]));
}

const warningsOf = (html: string) =>
  [...html.matchAll(/<li><strong>(.*?)<\/strong>/g)].map(([, what]) => what);

describe("GET /status", () => {
  describe("of a server that listens", () => {
    let server: Awaited<ReturnType<typeof serveHere>>;
    before(async () => {
      server = await serveHere({ STATUS_TOKEN: TOKEN });
    });
    after(() => server.close());
    const get = (headers: Record<string, string>, method = "GET") =>
      fetch(new URL("/status", server.url), { headers, method });

    it("T-60 answers only requests that have the token as the password", async () => {
      for (const headers of [{}, basic("wrong"), basic(`${TOKEN}x`), { Authorization: TOKEN }]) {
        const response = await get(headers);
        assert.equal(response.status, 401);
        assert.match(response.headers.get("www-authenticate") ?? "", /^Basic realm="/);
        assert.equal(response.headers.get("cache-control"), "no-store");
        assert.doesNotMatch(await response.text(), /<html/);
      }
      for (const user of ["operator", ""]) {
        const response = await get(basic(TOKEN, user));
        assert.equal(response.status, 200);
        assert.equal(response.headers.get("cache-control"), "no-store");
        assert.match(await response.text(), /<h1>Sync-Server status<\/h1>/);
      }
      const head = await get(basic(TOKEN), "HEAD");
      assert.deepEqual([head.status, await head.text()], [200, ""]);
      assert.equal((await get(basic(TOKEN), "POST")).status, 405);
    });

    it("may load nothing, run nothing and be framed by no page", async () => {
      const response = await get(basic(TOKEN));
      const policy = response.headers.get("content-security-policy") ?? "";
      assert.match(policy, /^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; /);
      assert.match(policy, /form-action 'none'; frame-ancestors 'none'$/);
      const html = await response.text();
      assert.doesNotMatch(html, /<script|<img|<link|<form|\sstyle=|\son\w+=|url\(|https?:/);
    });

    it("T-23 T-60 leaves no token, user or key in the log, the metrics or the page", async () => {
      const user = newUser().base64;
      const append = { user, client_id: newClient(), operation_index: 0, payload: "sealed" };
      assert.equal((await sync(server.url, append)).status, 200);
      const html = await (await get(basic(TOKEN))).text();
      const metrics = await (await fetch(new URL("/metrics", server.url))).text();
      for (const text of [html, metrics, ...server.log]) {
        assert.ok(!text.includes(TOKEN) && !text.includes(append.client_id));
        assert.ok(!text.includes(Buffer.from(`operator:${TOKEN}`).toString("base64")));
      }
      assert.equal(factsOf(html).get("Operations"), "1 stored, 0 delivered");
    });
  });

  it("T-60 is not there by default", async () => {
    const { ask } = handlerOf({ STATUS_TOKEN: "off" });
    for (const headers of [{}, basic("off"), basic("")]) {
      const { status, text } = await ask(headers);
      assert.equal(status, 404);
      assert.doesNotMatch(text, /GET \/status/);
    }
  });

  it("T-60 takes ten wrong tokens from a network address, and then one each ten seconds", async () => {
    let now = 0;
    const { ask } = handlerOf({}, { now: () => now });
    for (let i = 0; i < 10; i++) assert.equal((await ask(basic(`wrong ${i}`))).status, 401);
    for (const headers of [basic("wrong"), basic(TOKEN)]) {
      const { status, headers: fields } = await ask(headers);
      assert.deepEqual([status, fields.get("retry-after")], [429, "10"]);
    }
    // Others go on, and so does the login box of a browser.
    assert.equal((await ask(basic(TOKEN), { ip: "192.0.2.2" })).status, 200);
    assert.equal((await ask()).status, 401);
    now += 10_000;
    assert.equal((await ask(basic("wrong"))).status, 401);
    assert.equal((await ask(basic(TOKEN))).status, 429);
    now += 10_000;
    assert.equal((await ask(basic(TOKEN))).status, 200);
  });

  it("counts what is stored, and draws users and bytes over time", async () => {
    const driver = new MemoryDriver();
    let time = Date.UTC(2030, 0, 1, 12);
    const { ask, handler } = handlerOf(
      { COMPACTION: "off" },
      { driver, time: () => time, status: { first: 0, every: 5 } },
    );
    const page = async () => (await ask(basic(TOKEN))).text;
    const shows = (name: string, text: string) =>
      until(async () => factsOf(await page()).get(name) === text, `${name} is ${text}`);
    await shows("Users", "0");
    await storeEach(driver, someFingerprint(), newClient(), ["x".repeat(1000), "y".repeat(1048)]);
    await storeEach(driver, someFingerprint(), newClient(), ["z".repeat(1024)]);
    time += 3_600_000;
    await shows("Users", "2");
    const html = await page();
    const facts = factsOf(html);
    assert.deepEqual(
      [facts.get("Objects"), facts.get("Bytes"), facts.get("Counted")],
      ["3", "3.0 KiB", "2030-01-01 13:00 UTC"],
    );
    assert.match(html, /aria-label="Users with something stored: 0 at 2030-01-01 12:00 UTC, 2 at /);
    assert.match(
      html,
      /aria-label="Bytes stored: 0 bytes at .*, 3\.0 KiB at 2030-01-01 13:00 UTC"/,
    );
    await handler.stop();
  });

  it("says that nothing was counted yet, and logs a count that fails", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    let failing = true;
    driver.before = () => {
      if (failing) throw new StorageUnavailable("away");
    };
    const { ask, log, handler } = handlerOf(
      { COMPACTION: "off" },
      { driver, status: { first: 0, every: 5 } },
    );
    await until(async () => log.some((line) => line.includes("could not be counted")));
    failing = false;
    await until(async () => factsOf((await ask(basic(TOKEN))).text).get("Users") === "0");
    await handler.stop();
    const later = handlerOf({}, { status: { first: 1e6 } });
    assert.match((await later.ask(basic(TOKEN))).text, /Nothing was counted yet/);
    await later.handler.stop();
  });

  it("has no warning where all is well, and names what is not", async () => {
    const well = handlerOf();
    const { text } = await well.ask(basic(TOKEN));
    assert.deepEqual([warningsOf(text), factsOf(text).get("Ready")], [[], "yes"]);
    assert.match(text, /<p>None\.<\/p>/);
    assert.match(text, /<title>Sync-Server status<\/title>/);

    const proxied = await well.ask({ ...basic(TOKEN), "X-Forwarded-For": "192.0.2.9" });
    assert.deepEqual(warningsOf(proxied.text), [
      "A proxy says who connects, and is not believed.",
      "PUBLIC_URL is not set, behind a proxy.",
    ]);
    const right = handlerOf({ TRUSTED_PROXIES: "192.0.2.1", PUBLIC_URL: "https://sync.example" });
    const believed = await right.ask({ ...basic(TOKEN), Forwarded: "for=192.0.2.9" });
    assert.deepEqual(warningsOf(believed.text), []);

    const driver = new HookedDriver(new MemoryDriver());
    driver.before = () => {
      throw new StorageUnavailable("away", { reason: "the disk is <full>" });
    };
    const ill = handlerOf({}, { driver, cluster: new MemoryHub().join() });
    const { text: html } = await ill.ask(basic(TOKEN));
    assert.match(html, /<title>\(2\) Sync-Server status<\/title>/);
    assert.deepEqual(warningsOf(html), [
      "Storage is not ready: the disk is &#60;full&#62;.",
      "Calls to storage have failed since the start: 1.",
    ]);
    assert.deepEqual([factsOf(html).get("Ready"), factsOf(html).get("Cluster")], ["no", "reached"]);
    for (const { handler } of [well, right, ill]) await handler.stop();
  });

  it("shows what doctor finds of the storage, again where that is an hour old", async () => {
    const driver = Object.assign(new HookedDriver(new MemoryDriver()), {
      clockOffset: () => -400_000,
    });
    let time = Date.UTC(2030, 0, 1, 12);
    const { ask, handler } = handlerOf(
      { COMPACTION: "off" },
      { driver, time: () => time, status: { first: 0, every: 1e6 } },
    );
    const lookedAt = async (when: string) => {
      let html = "";
      await until(async () => {
        html = (await ask(basic(TOKEN))).text;
        return factsOf(html).get("Looked at") === when;
      }, `storage was looked at at ${when}`);
      return html;
    };
    const html = await lookedAt("2030-01-01 12:00 UTC");
    assert.deepEqual(warningsOf(html), [
      "Clock: this machine&#39;s is 400 s ahead of that of the storage.",
    ]);
    assert.match(html, /<\/strong> Set the clock by NTP: /);
    const facts = factsOf(html);
    assert.equal(facts.get("Storage"), "it stores, lists, reads and deletes");
    assert.match(facts.get("Speed") ?? "", /^a delete takes [\d.]+ ms at the median, /);

    time += 3_599_999;
    const puts = driver.count("put");
    await lookedAt("2030-01-01 12:00 UTC");
    assert.equal(driver.count("put"), puts);
    time += 1;
    driver.before = ({ kind }) => {
      if (kind === "put") throw new StorageUnavailable("access is refused");
    };
    const later = warningsOf(await lookedAt("2030-01-01 13:00 UTC"));
    assert.ok(later.includes("Storage: put: access is refused."), later.join());
    await handler.stop();
    assert.deepEqual(await driver.list(""), []);
  });

  it("leaves nothing of its look in storage when the server stops", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const { handler, log } = handlerOf({ COMPACTION: "off" }, { driver, status: { first: 0 } });
    await until(async () => driver.count("put") > 0);
    await handler.stop();
    assert.deepEqual(await driver.list(""), []);
    assert.ok(log.every((line) => !line.includes("could not be looked at")));
  });

  it("shows the disk and the journal of a folder", async () => {
    const folder = temporaryFolder();
    const driver = await openStorage(folder.path);
    const { ask, handler } = handlerOf({ STORAGE: folder.path }, { driver });
    const facts = factsOf((await ask(basic(TOKEN))).text);
    assert.match(facts.get("Disk") ?? "", /^[\d.]+ \w+ free of [\d.]+ \w+$/);
    assert.deepEqual(
      [facts.get("Journal"), facts.get("Place")],
      ["on, 0 bytes in it", folder.path],
    );
    await handler.stop();
    await driver.close();
    folder.remove();
  });
});

describe("what the status page is made of", () => {
  it("keeps at most so many counts, from the whole time", () => {
    let samples: readonly StoredSample[] = [];
    for (let at = 0; at < 5000; at++) {
      samples = thinned([...samples, { at, users: at, objects: 0, bytes: 0 }]);
      assert.ok(samples.length <= MOST_SAMPLES);
      assert.equal(samples.at(-1)?.at, at);
    }
    assert.ok(samples.length > MOST_SAMPLES / 2);
    assert.ok((samples[0]?.at ?? Number.NaN) < 200);
  });

  it("draws within its frame, whatever the values are", () => {
    const point = (at: number, value: number) => ({ at, value });
    for (const points of [
      [point(0, 0)],
      [point(5, 7), point(5, 7)],
      [point(0, 1e15), point(1e12, 0), point(2e12, 5)],
    ]) {
      const svg = chart("Users", points, countText);
      const [, line = ""] = /points="(.*?)"/.exec(svg) ?? [];
      for (const pair of line.split(" ")) {
        const [x = Number.NaN, y = Number.NaN] = pair.split(",").map(Number);
        assert.ok(x >= 0 && x <= 400 && y >= 0 && y <= 150, pair);
      }
    }
    assert.equal(chart("Users", [], countText), "");
  });

  it("writes numbers and times for people, and texts for HTML", () => {
    assert.deepEqual([0, 1023, 1024, 150 * 1024, 3 * 2 ** 30].map(bytesText), [
      ...["0 bytes", "1023 bytes", "1.0 KiB", "150 KiB", "3.0 GiB"],
    ]);
    assert.equal(countText(1234567), "1\u202f234\u202f567");
    assert.deepEqual([59_000, 61_000, 7_200_000, 90_060_000].map(durationText), [
      ...["less than a minute", "1 min", "2 h", "1 d 1 h"],
    ]);
    assert.equal(escaped(`<a href="x">&'`), "&#60;a href=&#34;x&#34;&#62;&#38;&#39;");
  });
});
