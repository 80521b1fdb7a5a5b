/** Readers that take nothing of an answer, on a real server process. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { it } from "node:test";
import { sync } from "../support/http.ts";
import { metricOf } from "../support/metrics.ts";
import { startServer } from "../support/process.ts";
import { postRaw, until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";

const READERS = 4;
const isDeno = process.versions.deno !== undefined;
const what = isDeno ? "keeps its place until its socket is closed" : "does not keep its socket";

it(`T-45 a reader that takes nothing ${what}${process.platform === "linux" ? "" : " (skipped: the test counts files in /proc)"}`, {
  skip: process.platform !== "linux",
}, async () => {
  // One network address gets half of the places.
  const settings = { MAX_REQUESTS: `${2 * READERS}`, CLIENT_TIMEOUT: "1s", STORAGE: "memory:" };
  const server = await startServer(settings);
  const user = newUser().base64;
  const client_id = newClient();
  const poll = async () =>
    (await sync(server.url, { user, client_id, sync_status: { [client_id]: 3 } })).status;
  // More than the buffers between server and reader hold.
  const payload = "p".repeat(5 * 2 ** 20);
  for (let operation_index = 0; operation_index < 4; operation_index++) {
    await sync(server.url, { user, client_id, operation_index, payload });
  }
  const files = () => readdirSync(`/proc/${server.pid}/fd`).length;
  const before = files();
  const sockets = Array.from({ length: READERS }, () => {
    const { socket } = postRaw(server.port, { user, client_id: newClient() });
    return socket.pause();
  });
  await until(async () => (await metricOf(server.url, "sync_stalled_total")) === READERS);
  if (isDeno) {
    assert.equal(await poll(), 503);
    assert.ok(files() >= before + READERS);
    assert.equal(await metricOf(server.url, "sync_buffered_bytes"), 0);
    for (const socket of sockets) socket.destroy();
  }
  // One more is the connection of the metrics.
  await until(() => files() <= before + 1);
  await until(async () => (await poll()) === 200);
  for (const socket of sockets) socket.destroy();
  assert.equal(await server.end("SIGTERM"), 0);
});
