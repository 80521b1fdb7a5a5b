/** Requests that wait for news, over HTTP: what ends a wait, and with which answer. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { openStorage } from "../../storage/open.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { HookedDriver } from "../support/drivers.ts";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere, sync, withServer } from "../support/http.ts";
import { metricOf } from "../support/metrics.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { startServer } from "../support/process.ts";
import {
  inProcessServer,
  newSigningUser,
  SERVER,
  signedHeaders,
  syncBody,
} from "../support/signing.ts";
import { postRaw, until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";
import { ended, LONG, untilShortWait, untilWaiting, waitFor } from "../support/waiting.ts";

const applied = "preference-applied";

describe("a request that waits", () => {
  let server: Serving;
  let user: string;
  let a: string;
  let b: string;
  const append = (index: number, payload: string, client_id = a) =>
    sync(server.url, { user, client_id, operation_index: index, payload });
  const payloads = async (answer: ReturnType<typeof sync>) =>
    (await answer).operations.map(({ payload }) => payload);

  before(async () => {
    server = await serveHere({ MAX_WAIT: `${LONG}s` });
  });
  after(() => server.close());
  beforeEach(async () => {
    user = newUser().base64;
    [a, b] = [newClient(), newClient()];
    assert.equal((await append(0, "zero")).status, 200);
  });

  it("is answered as soon as another device has appended, with what a poll would get", async () => {
    const wait = waitFor(server.url, { user, client_id: b, sync_status: { [a]: 0 } });
    await untilWaiting(server.url, 1);
    await append(1, "one");
    const { status, headers, operations } = await wait;
    assert.equal(status, 200);
    assert.deepEqual(operations, [{ client_id: a, operation_index: 1, payload: "one" }]);
    assert.equal(headers.get(applied), `wait=${LONG}`);
    assert.equal(headers.get("content-type"), "application/x-ndjson");
    assert.equal(headers.get("max-body"), "16777216");
    await untilWaiting(server.url, 0);
  });

  it("is answered at once where it brings operations, where there is news, and where it waits no seconds", async () => {
    const known = { user, client_id: b, sync_status: { [a]: 0 } };
    const brings = { ...known, operation_index: 0, payload: "from b" };
    for (const [body, seconds] of [
      [{ user, client_id: b }, LONG],
      [brings, LONG],
      // A retry stores nothing, and its client wants the acknowledgement.
      [brings, LONG],
      [{ ...known, operation_index: 0 }, 0],
    ] as const) {
      const { status, headers } = await waitFor(server.url, body, { seconds });
      assert.deepEqual([status, headers.get(applied)], [200, `wait=${seconds}`]);
    }
  });

  it("waits no longer than MAX_WAIT", async () => {
    const { headers } = await waitFor(server.url, { user, client_id: b }, { seconds: 86_400 });
    assert.equal(headers.get(applied), `wait=${LONG}`);
  });

  it("is a plain poll where its preference is malformed or another one", async () => {
    const known = { user, client_id: b, sync_status: { [a]: 0 } };
    for (const Prefer of ["wait=soon", "respond-async", 'note="wait=5"', "wait=5.5"]) {
      const { status, headers } = await sync(server.url, known, { Prefer });
      assert.deepEqual([status, headers.get(applied)], [200, null]);
    }
  });

  it("goes on waiting for what its own sync status has not", async () => {
    const muted = newClient();
    const others = waitFor(server.url, { user, client_id: newClient(), sync_status: { [a]: 0 } });
    const wait = waitFor(server.url, {
      user,
      client_id: b,
      sync_status: { [a]: 0, [muted]: Number.MAX_SAFE_INTEGER },
    });
    await untilWaiting(server.url, 2);
    await append(0, "muted", muted);
    assert.deepEqual(await payloads(others), ["muted"]);
    await untilWaiting(server.url, 1);
    await append(1, "one");
    assert.deepEqual(await payloads(wait), ["one"]);
  });

  it("shows what its own client has appended meanwhile by another request, unless it knows of it", async () => {
    const own = { user, client_id: a };
    const unaware = waitFor(server.url, { ...own, operation_index: 0 });
    const aware = waitFor(server.url, { ...own, sync_status: { [a]: 1 } });
    await untilWaiting(server.url, 2);
    await append(1, "one");
    assert.deepEqual(await payloads(unaware), ["one"]);
    await untilWaiting(server.url, 1);
    await append(0, "from b", b);
    assert.deepEqual(await payloads(aware), ["from b"]);
  });

  it("misses nothing, however closely an append and the wait come together", async () => {
    for (let index = 1; index <= 60; index++) {
      const status = { [a]: index - 1 };
      const read = () => payloads(waitFor(server.url, { user, client_id: b, sync_status: status }));
      const store = async () => {
        if (index % 3 === 2) await sleep(0);
        return append(index, `${index}`);
      };
      const [lines] = await (index % 2 === 0
        ? Promise.all([read(), store()])
        : Promise.all([store(), read()]).then(([stored, lines]) => [lines, stored] as const));
      assert.deepEqual(lines, [`${index}`]);
    }
  });

  const isDeno = process.versions.deno !== undefined;
  it(`gives its place back when its client hangs up${isDeno ? ", at the end of its wait, because Deno does not tell" : ""}`, async () => {
    const gone = await ended(server.url, "gone");
    const seconds = isDeno ? 1 : LONG;
    const leaving = Array.from({ length: 5 }, () => new AbortController());
    const waits = leaving.map(({ signal }) =>
      waitFor(server.url, { user, client_id: b, sync_status: { [a]: 0 } }, { seconds, signal }),
    );
    if (!isDeno) await untilWaiting(server.url, 5);
    for (const controller of leaving) controller.abort();
    for (const wait of waits) await assert.rejects(wait);
    await untilWaiting(server.url, 0);
    assert.equal((await ended(server.url, "gone")) - gone, isDeno ? 0 : 5);
  });

  const node = onlyOn("Node", "no other runtime takes a request behind one without an answer");
  it(`T-43 is a plain poll where an earlier request of its connection has no answer yet${node.note}`, {
    skip: node.skip,
  }, async () => {
    const gone = await ended(server.url, "gone");
    const polls = 'sync_request_seconds_count{route="/sync",status="200"}';
    const answered = await metricOf(server.url, polls);
    const text = JSON.stringify({ user, client_id: b, sync_status: { [a]: 0 } });
    const head = `POST /sync HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nPrefer: wait=${LONG}\r\nContent-Length: ${text.length}\r\n\r\n`;
    const socket = connect(server.port, "localhost");
    socket.write(`${head}${text}`.repeat(3));
    await untilWaiting(server.url, 1);
    await until(async () => (await metricOf(server.url, polls)) === answered + 2);
    socket.destroy();
    await untilWaiting(server.url, 0);
    assert.equal((await ended(server.url, "gone")) - gone, 1);
  });

  it("is none of the requests being answered, and its wait counts apart from their durations", async () => {
    const sum = 'sync_request_seconds_sum{route="/sync",status="200"}';
    const [answered, waited] = await Promise.all([
      metricOf(server.url, sum),
      metricOf(server.url, "sync_wait_seconds_sum"),
    ]);
    const known = { user, client_id: b, sync_status: { [a]: 0 } };
    const wait = await untilShortWait(server.url, known);
    // The one that asks for it.
    await until(async () => (await metricOf(server.url, "sync_requests_running")) === 1);
    assert.equal((await wait.answer).text, "");
    assert.ok((await metricOf(server.url, "sync_wait_seconds_sum")) - waited >= 1);
    assert.ok((await metricOf(server.url, sum)) - answered < 1);
  });

  it("keeps the origin of its page", async () => {
    const settings = { CORS_ORIGIN: "https://app.example" };
    await withServer(settings, async ({ url }) => {
      const headers = { Origin: "https://app.example" };
      const answer = await waitFor(url, { user, client_id: b }, { seconds: 1, headers });
      assert.equal(answer.headers.get("access-control-allow-origin"), "https://app.example");
      assert.match(answer.headers.get("access-control-expose-headers") ?? "", /Preference-Applied/);
    });
  });

  it("waits as long as it may, longer than CLIENT_TIMEOUT, and only where MAX_WAIT lets it", async () => {
    await withServer({ CLIENT_TIMEOUT: "100ms" }, async ({ url }) => {
      const { status, headers } = await waitFor(url, { user, client_id: b }, { seconds: 1 });
      assert.deepEqual([status, headers.get(applied)], [200, "wait=1"]);
    });
    await withServer({ MAX_WAIT: "0" }, async ({ url }) => {
      const { status, headers } = await waitFor(url, { user, client_id: b });
      assert.deepEqual([status, headers.get(applied)], [200, null]);
    });
  });

  it("costs one token, whatever it waits", async () => {
    await withServer({ RATE_LIMIT: "0.0001", RATE_BURST: "10" }, async ({ url }) => {
      const wait = waitFor(url, { user, client_id: b }, { seconds: 1 });
      assert.match((await wait).headers.get("ratelimit") ?? "", /^"user";r=8;/);
      const { headers } = await sync(url, { user, client_id: b });
      assert.match(headers.get("ratelimit") ?? "", /^"user";r=7;/);
    });
  });
});

describe("the end of a wait", () => {
  it("is a 410 where the user is erased, a 401 where an unsigned reader is locked out", async () => {
    await withServer({}, async ({ url }) => {
      const erased = await newSigningUser();
      const locked = await newSigningUser();
      const send = async (user: typeof erased, method: string, body: string) => {
        const headers = await signedHeaders(user, {
          url: new URL("/sync", url).href,
          method,
          body,
        });
        return fetch(new URL("/sync", url), { method, headers, body });
      };
      const unsigned = waitFor(url, { user: locked.base64, client_id: newClient() });
      const alsoErased = waitFor(url, { user: erased.base64, client_id: newClient() });
      await untilWaiting(url, 2);
      assert.equal((await send(locked, "POST", syncBody(locked))).status, 200);
      const refused = await unsigned;
      assert.deepEqual(
        [refused.status, refused.problem.type],
        [401, "urn:sync-server:signature-required"],
      );
      const erase = JSON.stringify({ user: erased.base64 });
      assert.equal((await send(erased, "DELETE", erase)).status, 204);
      const gone = await alsoErased;
      assert.deepEqual([gone.status, gone.problem.type], [410, "urn:sync-server:user-erased"]);
      assert.equal(await ended(url, "refused"), 2);
    });
  });

  it("is a 403 where the user is taken off the list, as soon as the list is read again", async () => {
    const folder = temporaryFolder();
    const path = join(folder.path, "users");
    const [listed, removed] = [newUser().base64, newUser().base64];
    writeFileSync(path, `${listed}\n${removed}\n`);
    try {
      await withServer({ USERS: path }, async ({ url }) => {
        const stays = waitFor(url, { user: listed, client_id: newClient() });
        const removal = waitFor(url, { user: removed, client_id: newClient() });
        await untilWaiting(url, 2);
        writeFileSync(path, `${listed}\n`);
        // The file is looked at when someone asks for something, and at most once a second.
        const poll = async () => (await sync(url, { user: listed, client_id: newClient() })).status;
        await until(async () => (await poll()) === 200 && (await ended(url, "refused")) === 1);
        const { status, problem } = await removal;
        assert.equal(status, 403);
        assert.equal(problem.fingerprint, fingerprintOf(removed));
        await untilWaiting(url, 1);
        const append = { client_id: newClient(), operation_index: 0, payload: "news" };
        assert.equal((await sync(url, { user: listed, ...append })).status, 200);
        assert.equal((await stays).operations.length, 1);
      });
    } finally {
      folder.remove();
    }
  });

  it("has lines, although the signature of the request is too old by then", async () => {
    const clock = { time: Date.now() };
    const user = await newSigningUser();
    const { send, handler } = inProcessServer({}, new MemoryDriver(), {
      time: () => clock.time,
    });
    const body = syncBody(user);
    const headers = await signedHeaders(user, { url: SERVER, body });
    const wait = send(body, { ...headers, Prefer: "wait=50" });
    const metrics = async () =>
      (await handler.fetch(new Request("http://sync.example/metrics"))).text();
    await until(async () => /^sync_waiting 1$/m.test(await metrics()));
    clock.time += 3_600_000;
    const late = await send(body, headers);
    assert.equal(late.problem.check, "clock");
    const append = syncBody(user, { operation_index: 0, payload: "late news" });
    const now = { created: Math.floor(clock.time / 1000) };
    const again = await signedHeaders(user, { url: SERVER, body: append }, now);
    assert.equal((await send(append, again)).status, 200);
    const { status, text } = await wait;
    assert.equal(status, 200);
    assert.match(text, /late news/);
  });

  it("is the same where the log was compacted meanwhile", async () => {
    const compaction = {
      limits: { operations: 2, bytes: 400 },
      timing: { debounce: 0, maxDelay: 0, deleteDelay: 0, backoff: 0 },
    };
    await withServer(
      {},
      async ({ url, compacted }) => {
        const [user, a] = [newUser().base64, newClient()];
        const append = (operation_index: number) =>
          sync(url, { user, client_id: a, operation_index, payload: `${operation_index}` });
        for (let index = 0; index < 8; index++) await append(index);
        const known = { user, client_id: newClient(), sync_status: { [a]: 7 } };
        const waits = Array.from({ length: 3 }, () => waitFor(url, known));
        await untilWaiting(url, 3);
        await compacted();
        await append(8);
        for (const { operations } of await Promise.all(waits)) {
          assert.deepEqual(
            operations.map(({ operation_index }) => operation_index),
            [8],
          );
        }
      },
      undefined,
      compaction,
    );
  });

  it("comes at once for what another process stores in the folder, after LISTING_TTL", async () => {
    const folder = temporaryFolder();
    const open = () => openStorage(folder.path);
    const servers: Serving[] = [];
    try {
      for (let i = 0; i < 2; i++) {
        servers.push(await serveHere({ LISTING_TTL: "1s", MAX_WAIT: "240s" }, await open()));
      }
      const [one, two] = servers.map(({ url }) => url);
      assert.ok(one !== undefined && two !== undefined);
      const [user, a] = [newUser().base64, newClient()];
      const wait = waitFor(one, { user, client_id: newClient() }, { seconds: 240 });
      await untilWaiting(one, 1);
      await sync(two, { user, client_id: a, operation_index: 0, payload: "from two" });
      assert.deepEqual((await wait).operations.length, 1);
    } finally {
      for (const server of servers) await server.close();
      folder.remove();
    }
  });

  it("has what another process has stored, on a storage that is not listed for it", async () => {
    const driver = new MemoryDriver();
    await withServer(
      { LISTING_TTL: "500ms" },
      async ({ url }) => {
        await withServer(
          {},
          async (other) => {
            for (let isEarly = false; !isEarly; ) {
              const [user, a] = [newUser().base64, newClient()];
              const wait = await untilShortWait(url, { user, client_id: newClient() });
              const append = { user, client_id: a, operation_index: 0, payload: "elsewhere" };
              await sync(other.url, append);
              // Not so on a busy machine, where the wait may end before.
              isEarly = (await metricOf(url, "sync_waiting")) === 1;
              if (isEarly) assert.equal((await wait.answer).operations.length, 1);
            }
          },
          driver,
        );
      },
      driver,
    );
  });

  it("comes at once for what a put has stored that failed, once its client has sent it again", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    await withServer(
      {},
      async ({ url }) => {
        const [user, a] = [newUser().base64, newClient()];
        const wait = waitFor(url, { user, client_id: newClient() });
        await untilWaiting(url, 1);
        driver.after = ({ kind }) => {
          if (kind === "put") throw new StorageUnavailable("the answer of storage was lost");
        };
        const append = { user, client_id: a, operation_index: 0, payload: "stored" };
        assert.equal((await sync(url, append)).status, 503);
        driver.after = () => undefined;
        assert.equal((await sync(url, append)).status, 200);
        assert.equal((await wait).operations.length, 1);
        assert.equal(await ended(url, "news"), 1);
      },
      driver,
    );
  });

  it("is a whole answer without lines where the server stops, and the server ends", async () => {
    const server = await startServer({ STORAGE: "memory:" });
    const waits = Array.from({ length: 20 }, () =>
      waitFor(server.url, { user: newUser().base64, client_id: newClient() }),
    );
    const raw = postRaw(server.port, { user: newUser().base64, client_id: newClient() }, LONG);
    await untilWaiting(server.url, 21);
    const end = server.end("SIGTERM");
    for (const { status, text, headers } of await Promise.all(waits)) {
      assert.deepEqual([status, text, headers.get(applied)], [200, "", `wait=${LONG}`]);
    }
    assert.equal(await raw.complete, true);
    assert.equal(await end, 0);
  });
});
