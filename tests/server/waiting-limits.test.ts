/** How many requests may wait, and what they leave for others. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { store, sync, withServer } from "../support/http.ts";
import { metricOf } from "../support/metrics.ts";
import { postRaw, until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";
import { ended, LONG, untilWaiting, waitFor } from "../support/waiting.ts";

const applied = "preference-applied";

/** A request of a user of whom nothing is stored. */
const somebody = () => ({ user: newUser().base64, client_id: newClient() });

/** News for a user of whom nothing is stored. */
async function append(url: string, user: string): Promise<void> {
  const operation = { client_id: newClient(), operation_index: 0, payload: "news" };
  assert.equal((await sync(url, { user, ...operation })).status, 200);
}

describe("the limit of requests that wait", () => {
  it("T-43 has one past it answered at once, as a poll that knows nothing of waiting", async () => {
    const settings = { MAX_WAITING: "4", TRUSTED_PROXIES: "127.0.0.1,::1" };
    await withServer(settings, async ({ url }) => {
      const someone = somebody();
      const from = (address: string) =>
        waitFor(url, someone, { headers: { "X-Forwarded-For": address } });
      const waits = [from("192.0.2.1"), from("192.0.2.1")];
      await untilWaiting(url, 2);
      // One address never has more than it leaves for the others.
      const refused = await from("192.0.2.1");
      assert.deepEqual([refused.status, refused.headers.get(applied)], [200, null]);
      waits.push(from("192.0.2.2"));
      await untilWaiting(url, 3);
      assert.equal((await from("192.0.2.1")).headers.get(applied), null);
      assert.equal(await ended(url, "full"), 2);
      await append(url, someone.user);
      for (const { headers } of await Promise.all(waits)) {
        assert.equal(headers.get(applied), `wait=${LONG}`);
      }
      await untilWaiting(url, 0);
      const { headers } = await waitFor(url, somebody(), { seconds: 1 });
      assert.equal(headers.get(applied), "wait=1");
    });
  });

  it("T-43 counts a long sync status as several", async () => {
    await withServer({ MAX_WAITING: "8" }, async ({ url }) => {
      const clients = Array.from({ length: 300 }, () => [newClient(), 0] as const);
      const long = { ...somebody(), sync_status: Object.fromEntries(clients) };
      const wait = waitFor(url, long);
      await untilWaiting(url, 1);
      assert.equal((await waitFor(url, long)).headers.get(applied), null);
      assert.equal((await waitFor(url, somebody())).headers.get(applied), null);
      await append(url, long.user);
      assert.equal((await wait).headers.get(applied), `wait=${LONG}`);
    });
  });

  it("T-43 is none of that of requests: more may wait than may be answered at once, and all get their news", async () => {
    await withServer({ MAX_REQUESTS: "4" }, async ({ url }) => {
      const user = newUser().base64;
      const waits = Array.from({ length: 12 }, () =>
        waitFor(url, { user, client_id: newClient() }),
      );
      await untilWaiting(url, 12);
      await append(url, user);
      for (const { status, operations } of await Promise.all(waits)) {
        assert.deepEqual([status, operations.length], [200, 1]);
      }
    });
  });

  it("T-45 cuts an answer whose reader takes nothing, after a wait as well", async () => {
    await withServer(
      { CLIENT_TIMEOUT: "5s", MAX_BODY: "40MiB", MAX_BUFFERED: "200MiB" },
      async ({ url, port }) => {
        const [user, a] = [newUser().base64, newClient()];
        const { socket } = postRaw(port, { user, client_id: newClient() }, LONG);
        socket.pause();
        await untilWaiting(url, 1);
        // More than the buffers between server and reader hold.
        const payload = Array.from({ length: 4 }, () => "p".repeat(5 * 2 ** 20));
        await store(url, { user, client_id: a, operation_index: 0, payload });
        await until(async () => (await metricOf(url, "sync_stalled_total")) === 1);
        await untilWaiting(url, 0);
        socket.destroy();
      },
    );
  });
});
