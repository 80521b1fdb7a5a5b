/** The limits of users, of new users and of requests, over HTTP. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { describe, it } from "node:test";
import { randomPublicKey } from "../../bench/lib/users.ts";
import { StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { BYTES_PER_OBJECT } from "../../sync/quota.ts";
import { gate, HookedDriver } from "../support/drivers.ts";
import { type Serving, sync, withServer } from "../support/http.ts";
import { storeRun } from "../support/logs.ts";
import { metricOf, metricsOf } from "../support/metrics.ts";
import { overSocket, POST, parsed, problemIn } from "../support/requests.ts";
import { newSigningUser, readAnswer, type SigningUser, signedHeaders } from "../support/signing.ts";
import { until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";

const first = (user: string, client_id = newClient(), payload: string | string[] = "sealed") => ({
  user,
  client_id,
  operation_index: 0,
  payload,
});

const buffered = (url: string) => metricOf(url, "sync_buffered_bytes");

/** Holds as much memory as one address may, by bodies that do not end; returns how to end them. */
async function holdMemory({ url, port }: Serving): Promise<() => void> {
  const slow = [1, 2].map(() => net.connect(port, "localhost"));
  await Promise.all(slow.map((socket) => once(socket, "connect")));
  for (const socket of slow) {
    socket.write(`${POST}Content-Length: 200000\r\n\r\n${" ".repeat(150_000)}`);
  }
  await until(async () => (await buffered(url)) > 160_000);
  return () => {
    for (const socket of slow) socket.destroy();
  };
}

describe("a user at the quota", () => {
  it("is refused with the numbers, and can still read and retry", async () => {
    // For three objects of ten bytes together.
    const room = 10 + 3 * BYTES_PER_OBJECT;
    await withServer({ QUOTA_BYTES: `${room}`, QUOTA_CLIENTS: "2" }, async ({ url }) => {
      const user = randomPublicKey();
      const [a, b] = [newClient(), newClient()];
      const kept = first(user, a, "fourfour");
      assert.equal((await sync(url, kept)).status, 200);

      const over = await sync(url, first(user, b, "f".repeat(3 + BYTES_PER_OBJECT)));
      assert.equal(over.status, 507);
      const { type, quota, used, setting } = over.problem;
      assert.deepEqual(
        [type, quota, used, setting],
        ["urn:sync-server:quota-exceeded", room, 8 + BYTES_PER_OBJECT, "QUOTA_BYTES"],
      );
      assert.match(
        String(over.problem.detail),
        /may store 12298 bytes here \(QUOTA_BYTES\).* Nothing was stored/,
      );

      assert.equal((await sync(url, kept)).status, 200);
      assert.equal((await sync(url, { user, client_id: b })).operations.length, 1);
      assert.equal((await sync(url, first(user, b, "f"))).status, 200);
      const third = await sync(url, first(user, newClient(), "f"));
      assert.deepEqual(
        [third.status, third.problem.setting, third.problem.used],
        [507, "QUOTA_CLIENTS", 2],
      );
      assert.match(await metricsOf(url), /^sync_refusals_total\{type="quota-exceeded"\} 2$/m);
    });
  });
});

describe("a download that is cut off", () => {
  it("costs its user what was sent, not what was to be sent", async () => {
    const user = newUser().base64;
    const storage = new MemoryDriver();
    const client = newClient();
    for (let index = 0; index < 50; index++) {
      await storeRun(storage, fingerprintOf(user), client, index, "p".repeat(2 ** 20));
    }
    const driver = new HookedDriver(storage);
    driver.before = ({ kind }) => {
      if (kind === "get" && driver.count("get") > 2) throw new StorageUnavailable("it is gone");
    };
    const limits = { RATE_LIMIT: "1", RATE_BURST: "200", COMPACTION: "off" };
    const download = async (server: Serving) => {
      await assert.rejects(sync(server.url, { user, client_id: newClient() }));
      const { headers } = await sync(server.url, {
        user,
        client_id: newClient(),
        sync_status: { [client]: 49 },
      });
      const left = Number(/;r=(\d+);/.exec(headers.get("ratelimit") ?? "")?.[1]);
      assert.ok(left >= 190, `${left} of 200 are left`);
    };
    await withServer(limits, download, driver);
  });
});

describe("users with nothing stored yet", () => {
  const settings = { NEW_USERS_PER_HOUR: "2", TRUSTED_PROXIES: "127.0.0.1,::1" };
  const from = async (url: string, address: string, body: unknown) => {
    const headers = { "Content-Type": "application/json", "X-Forwarded-For": address };
    const text = JSON.stringify(body);
    const response = await fetch(new URL("/sync", url), { method: "POST", headers, body: text });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };

  const signed = async (base: string, method: string, user: SigningUser, members = {}) => {
    const url = new URL("/sync", base).href;
    const body = JSON.stringify({ user: user.base64, ...members });
    const headers = await signedHeaders(user, { url, method, body });
    return readAnswer(await fetch(url, { method, headers, body }));
  };

  it("T-37 are refused beyond the limit of their network address, before anything is stored", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const work = async ({ url }: Serving) => {
      const [ada, grace, mary] = [randomPublicKey(), randomPublicKey(), randomPublicKey()];
      const kept = first(ada);
      const since = performance.now();
      assert.equal((await from(url, "192.0.2.1", kept)).status, 200);
      assert.equal((await from(url, "192.0.2.1", first(grace))).status, 200);
      const { status, headers, text } = await from(url, "192.0.2.1", first(mary));
      assert.equal(status, 429);
      assert.equal(problemIn(429, headers, text, [mary]).type, "urn:sync-server:new-users-limited");
      // Half an hour from the first user on, of which this much at most is over.
      const elapsed = Math.ceil((performance.now() - since) / 1000);
      const seconds = Number(headers.get("retry-after"));
      assert.ok(seconds <= 1800 && seconds >= 1800 - elapsed, `${seconds} s`);
      assert.equal(driver.count("put"), 2);

      // Users with something stored are never refused, nor are polls.
      assert.equal((await from(url, "192.0.2.1", kept)).status, 200);
      assert.equal((await from(url, "192.0.2.1", first(ada, newClient()))).status, 200);
      assert.equal(
        (await from(url, "192.0.2.1", { user: mary, client_id: newClient() })).status,
        200,
      );
      // Nor are users from another address.
      assert.equal((await from(url, "192.0.2.2", first(mary))).status, 200);
      const metrics = await metricsOf(url);
      assert.match(metrics, /^sync_refusals_total\{type="new-users-limited"\} 1$/m);
      assert.ok(!metrics.includes("192.0.2"));
    };
    await withServer(settings, work, driver);
  });

  it("count once while several of their clients store for the first time", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const { opened, open } = gate();
    driver.before = ({ kind }) => (kind === "put" ? opened : undefined);
    const work = async ({ url }: Serving) => {
      const user = randomPublicKey();
      const appends = [1, 2, 3].map(() => from(url, "192.0.2.1", first(user)));
      await until(() => driver.count("put") === 3);
      open();
      for (const { status } of await Promise.all(appends)) assert.equal(status, 200);
      assert.equal((await from(url, "192.0.2.1", first(randomPublicKey()))).status, 200);
      assert.equal((await from(url, "192.0.2.1", first(randomPublicKey()))).status, 429);
    };
    await withServer(settings, work, driver);
  });

  it("also count when their first request is signed, which stores a lock", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const work = async ({ url }: Serving) => {
      const poll = (user: SigningUser) => signed(url, "POST", user, { client_id: newClient() });
      const keys = [newSigningUser(), newSigningUser(), newSigningUser(), newSigningUser()];
      const [ada, grace, mary, joan] = await Promise.all(keys);
      assert.ok(ada !== undefined && grace !== undefined);
      assert.ok(mary !== undefined && joan !== undefined);
      assert.equal((await sync(url, first(joan.base64))).status, 200);
      assert.equal((await poll(ada)).status, 200);
      assert.equal((await poll(joan)).status, 200, "something of hers is stored");
      const puts = driver.count("put");
      const { status, problem } = await poll(grace);
      assert.equal(status, 429);
      assert.equal(problem.type, "urn:sync-server:new-users-limited");
      assert.equal(driver.count("put"), puts);
      assert.equal((await poll(ada)).status, 200, "the lock of hers is stored");
      assert.equal((await sync(url, { user: mary.base64, client_id: newClient() })).status, 200);
    };
    await withServer(settings, work, driver);
  });

  it("also count when they erase themselves, which stores a tombstone", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const work = async ({ url }: Serving) => {
      const erase = (user: SigningUser) => signed(url, "DELETE", user);
      const keys = [newSigningUser(), newSigningUser(), newSigningUser()];
      const [ada, grace, mary] = await Promise.all(keys);
      assert.ok(ada !== undefined && grace !== undefined && mary !== undefined);
      assert.equal((await sync(url, first(ada.base64))).status, 200);
      assert.equal((await erase(grace)).status, 204);
      const puts = driver.count("put");
      const { status, problem } = await erase(mary);
      assert.equal(status, 429);
      assert.equal(problem.type, "urn:sync-server:new-users-limited");
      assert.equal(driver.count("put"), puts);
      // Users with something stored may always erase themselves, and repeat it.
      for (const user of [ada, ada, grace]) assert.equal((await erase(user)).status, 204);
    };
    await withServer(settings, work, driver);
  });
});

describe("a request beyond the limits of the server", () => {
  it("T-43 is refused before its body is read, and accepted when another has ended", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const { opened, open } = gate();
    driver.before = ({ kind }) => (kind === "put" ? opened : undefined);
    const work = async ({ url, port }: Serving) => {
      const user = randomPublicKey();
      const running = sync(url, first(user));
      await until(() => driver.count("put") === 1);
      const head = `${POST}Content-Length: 1000000\r\n\r\n`;
      const { status, headers, text } = parsed(await overSocket(port, head));
      assert.equal(status, 503);
      assert.equal(problemIn(503, headers, text, []).type, "urn:sync-server:overloaded");
      assert.equal(headers.get("retry-after"), "1");
      assert.equal((await fetch(new URL("/health", url))).status, 200);
      open();
      assert.equal((await running).status, 200);
      assert.equal((await sync(url, { user, client_id: newClient() })).status, 200);
      assert.match(await metricsOf(url), /^sync_refusals_total\{type="overloaded"\} 1$/m);
    };
    await withServer({ MAX_REQUESTS: "2" }, work, driver);
  });

  it("T-41 is refused when there is no memory for its body, which others hold", async () => {
    const settings = { MAX_BODY: "200KiB", MAX_BUFFERED: "400KiB", CLIENT_TIMEOUT: "4m" };
    await withServer(settings, async (server) => {
      const { url } = server;
      const giveBack = await holdMemory(server);
      const large = first(randomPublicKey(), newClient(), "p".repeat(190_000));
      assert.equal((await sync(url, large)).problem.type, "urn:sync-server:overloaded");
      // A short body needs none.
      assert.equal((await sync(url, first(randomPublicKey()))).status, 200);
      giveBack();
      await until(async () => (await buffered(url)) === 0);
      assert.equal((await sync(url, large)).status, 200);
    });
  });

  it("is refused at once when there is no memory for its answer", async () => {
    const settings = { MAX_BODY: "200KiB", MAX_BUFFERED: "400KiB", CLIENT_TIMEOUT: "4m" };
    await withServer(settings, async (server) => {
      const { url } = server;
      const user = randomPublicKey();
      assert.equal((await sync(url, first(user, newClient(), "p".repeat(190_000)))).status, 200);
      const giveBack = await holdMemory(server);
      const poll = { user, client_id: newClient() };
      // Waiting for the memory of the others would take minutes.
      const response = await fetch(new URL("/sync", url), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(poll),
        signal: AbortSignal.timeout(30_000),
      }).finally(giveBack);
      const { status, headers, problem } = await readAnswer(response);
      assert.equal(status, 503);
      assert.equal(problem.type, "urn:sync-server:overloaded");
      assert.equal(headers.get("retry-after"), "1");
      await until(async () => (await buffered(url)) === 0);
      assert.equal((await sync(url, poll)).operations.length, 1);
    });
  });

  it("is no longer refused for the body of a request that is being answered", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const settings = { MAX_BODY: "200KiB", MAX_BUFFERED: "400KiB", OBJECT_CACHE_BYTES: "0" };
    const work = async ({ url }: Serving) => {
      const user = randomPublicKey();
      assert.equal((await sync(url, first(user))).status, 200);
      const [listed, read] = [gate(), gate()];
      driver.before = ({ kind }) => (kind === "list" ? listed.opened : read.opened);
      driver.calls.length = 0;
      const poll = JSON.stringify({ user, client_id: newClient() });
      const polling = sync(url, poll.padEnd(190_000));
      await until(() => driver.count("list") === 1);
      // The version vector of its body is needed until the read has begun.
      assert.ok((await buffered(url)) > 100_000);
      listed.open();
      await until(() => driver.count("get") === 1);
      assert.equal(await buffered(url), 0);
      read.open();
      assert.equal((await polling).operations.length, 1);
    };
    await withServer({ ...settings, LISTING_TTL: "0" }, work, driver);
  });
});

describe("a body that arrives slowly", () => {
  it("T-44 is answered with 408 once its time is up, and stores nothing", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const work = async ({ port, url }: Serving) => {
      const text = JSON.stringify(first(randomPublicKey()));
      const head = `${POST}Content-Length: ${text.length}\r\n\r\n`;
      const {
        status,
        headers,
        text: answer,
      } = parsed(await overSocket(port, head + text.slice(0, 99)));
      assert.equal(status, 408);
      assert.equal(problemIn(408, headers, answer, []).type, "urn:sync-server:request-timeout");
      assert.equal(driver.calls.length, 0);
      assert.match(await metricsOf(url), /^sync_refusals_total\{type="request-timeout"\} 1$/m);
      assert.match(await metricsOf(url), /^sync_requests_running 1$/m);
    };
    await withServer({ CLIENT_TIMEOUT: "300ms" }, work, driver);
  });

  it("has more time the more of it has arrived", async () => {
    await withServer({ CLIENT_TIMEOUT: "200ms" }, async ({ port }) => {
      const text = JSON.stringify(first(randomPublicKey(), newClient(), "p".repeat(100_000)));
      const socket = net.connect(port, "localhost");
      await once(socket, "connect");
      let answer = "";
      socket.on("data", (data) => {
        answer += data;
      });
      socket.write(`${POST}Content-Length: ${text.length}\r\n\r\n${text.slice(0, 50_000)}`);
      // 50 kB are worth 12 seconds; it takes a few timeouts.
      await new Promise((resolve) => setTimeout(resolve, 900));
      assert.equal(answer, "");
      socket.write(text.slice(50_000));
      await until(() => answer !== "");
      assert.match(answer, /^HTTP\/1\.1 200/);
      socket.destroy();
    });
  });
});

describe("text from outside", () => {
  it("is cut in an answer", async () => {
    await withServer({}, async ({ url }) => {
      const long = "n".repeat(10_000);
      const members = await sync(url, { [long]: 1, sync_status: { [long]: 1 } });
      assert.equal(members.status, 400);
      assert.ok(members.text.length < 1500, members.text);
      assert.match(members.text, /"#\/n{64}…"/);
      const nowhere = await fetch(new URL(`/${long}`, url));
      assert.equal(nowhere.status, 404);
      assert.ok((await nowhere.text()).length < 500);
    });
  });

  it("is not cut within a character", async () => {
    await withServer({}, async ({ url }) => {
      const { text } = await sync(url, { [`${"n".repeat(63)}🔒 and more`]: 1 });
      assert.ok(text.isWellFormed() && /n{63}\ufffd…/.test(text), text);
    });
  });

  it("is a path as written: one more slash makes another path", async () => {
    await withServer({}, async ({ url }) => {
      for (const path of ["/sync/", "/sync//", "/health/"]) {
        const response = await fetch(`${url.replace(/\/$/, "")}${path}`, { method: "POST" });
        assert.equal(response.status, 404, path);
        await response.text();
      }
    });
  });
});
