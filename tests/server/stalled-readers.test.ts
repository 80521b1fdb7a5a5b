/** Readers that take nothing of an answer, on a real server process. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, it } from "node:test";
import { store, sync } from "../support/http.ts";
import { metricOf } from "../support/metrics.ts";
import { startServer } from "../support/process.ts";
import { postRaw, until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";

const READERS = 4;
const isDeno = process.versions.deno !== undefined;
const what = isDeno ? "keeps its place until its socket is closed" : "does not keep its socket";

it(`T-45 a reader that takes nothing ${what}${process.platform === "linux" ? "" : " (skipped: the test reads /proc)"}`, {
  skip: process.platform !== "linux",
}, async () => {
  // One network address gets half of the places.
  const settings = { MAX_REQUESTS: `${2 * READERS}`, CLIENT_TIMEOUT: "2s", STORAGE: "memory:" };
  const server = await startServer(settings);
  // A server that a failed test leaves would keep this file from ending.
  after(() => server.end("SIGKILL"));
  const user = newUser().base64;
  const client_id = newClient();
  const poll = async () =>
    (await sync(server.url, { user, client_id, sync_status: { [client_id]: 3 } })).status;
  // More than the buffers between server and reader hold.
  const payload = "p".repeat(5 * 2 ** 20);
  for (let operation_index = 0; operation_index < 4; operation_index++) {
    await store(server.url, { user, client_id, operation_index, payload });
  }
  const sockets = Array.from({ length: READERS }, () => {
    const { socket } = postRaw(server.port, { user, client_id: newClient() });
    return socket.pause();
  });
  await until(async () => (await metricOf(server.url, "sync_stalled_total")) === READERS);
  const ports = new Set(sockets.map(({ localPort }) => localPort ?? 0));
  if (isDeno) {
    // On a busy machine one may be cut before anything was written to it, and is closed at once.
    if ((await poll()) !== 503) await until(() => held(server.port, ports) < READERS);
    assert.equal(await metricOf(server.url, "sync_buffered_bytes"), 0);
    for (const socket of sockets) socket.destroy();
  }
  await until(() => held(server.port, ports) === 0);
  await until(async () => (await poll()) === 200);
  for (const socket of sockets) socket.destroy();
  assert.equal(await server.end("SIGTERM"), 0);
});

/** How many of the connections from these ports a server on that port still holds. */
function held(port: number, ports: ReadonlySet<number>): number {
  return ["tcp", "tcp6"]
    .flatMap((table) => readFileSync(`/proc/net/${table}`, "utf8").trim().split("\n").slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, remote, , , , , , , inode]) => {
      // A socket that its process has closed has no inode.
      return portIn(local) === port && ports.has(portIn(remote)) && inode !== "0";
    }).length;
}

/** The port of an address such as `0100007F:1F90`. */
function portIn(address = ""): number {
  return Number.parseInt(address.slice(address.indexOf(":") + 1), 16);
}
