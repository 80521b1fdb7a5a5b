/** Deadlines of clients while the server itself does not run, on a real server process. */
import assert from "node:assert/strict";
import net from "node:net";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { syncRequest } from "../../bench/lib/requests.ts";
import { store } from "../support/http.ts";
import { type ServerProcess, startServer } from "../support/process.ts";
import { postRaw, type RawResponse, until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";

/** Each deadline is over when the server continues: that of an idle connection is five seconds on Node. */
const CLIENT_TIMEOUT = "5s";
const PAUSE = 7000;

/** A connection that sends a request in two parts, and the status of the last answer. */
function inTwoParts(port: number, first: Buffer) {
  const socket = net.connect(port, "localhost", () => void socket.write(first));
  let text = "";
  let ended = "";
  socket.on("data", (data) => {
    text += data.toString("latin1");
  });
  socket.on("error", (error) => {
    ended = error.message;
  });
  socket.on("close", () => {
    ended ||= "closed";
  });
  const statuses = () => [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status);
  return { socket, statuses, outcome: () => statuses().at(-1) ?? ended };
}

describe("a server that was paused for longer than a client may take", () => {
  let server: ServerProcess;
  let silent: ReturnType<typeof inTwoParts>;
  let head: ReturnType<typeof inTwoParts>;
  let body: ReturnType<typeof inTwoParts>;
  let idle: ReturnType<typeof inTwoParts>;
  let reader: RawResponse;

  before(async () => {
    server = await startServer({ STORAGE: "memory:", CLIENT_TIMEOUT });
    const user = newUser().base64;
    const client_id = newClient();
    // More than the buffers between server and reader hold.
    const payload = "p".repeat(5 * 2 ** 20);
    for (let operation_index = 0; operation_index < 4; operation_index++) {
      await store(server.url, { user, client_id, operation_index, payload });
    }
    const append = { user: newUser().base64, client_id: newClient(), operation_index: 0 };
    const request = syncRequest(JSON.stringify({ ...append, payload: "sealed" }));
    const inHead = request.subarray(0, 20);
    const inBody = request.subarray(0, -20);
    const nothing = request.subarray(0, 0);

    reader = postRaw(server.port, { user, client_id: newClient() });
    reader.socket.once("data", () => reader.socket.pause());
    await until(() => reader.received() > 0);
    silent = inTwoParts(server.port, nothing);
    head = inTwoParts(server.port, inHead);
    body = inTwoParts(server.port, inBody);
    const question = Buffer.from("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    idle = inTwoParts(server.port, question);
    await until(() => idle.statuses().length === 1);

    process.kill(server.pid, "SIGSTOP");
    silent.socket.write(request);
    head.socket.write(request.subarray(inHead.length));
    body.socket.write(request.subarray(inBody.length));
    idle.socket.write(question);
    reader.socket.resume();
    await sleep(PAUSE);
    process.kill(server.pid, "SIGCONT");
  });
  after(async () => {
    for (const { socket } of [silent, head, body, idle, reader]) socket.destroy();
    await server.end("SIGKILL");
  });

  it("answers a request that came on a connection which had sent nothing", async () => {
    await until(() => silent.outcome() !== "");
    assert.equal(silent.outcome(), "200");
  });

  it("answers a request whose head came to its end", async () => {
    await until(() => head.outcome() !== "");
    assert.equal(head.outcome(), "200");
  });

  it("answers a request whose body came to its end", async () => {
    await until(() => body.outcome() !== "");
    assert.equal(body.outcome(), "200");
  });

  it("answers a request on a connection that was idle", async () => {
    await until(() => idle.statuses().length === 2 || idle.socket.destroyed);
    assert.deepEqual(idle.statuses(), ["200", "200"]);
  });

  it("sends the rest of an answer to a reader that took it", async () => {
    assert.equal(await reader.complete, true);
  });
});
