/** What the server answers to bytes that are no request of HTTP, on a real server process. */
import assert from "node:assert/strict";
import net from "node:net";
import { after, before, describe, it } from "node:test";
import { syncRequest } from "../../bench/lib/requests.ts";
import { store } from "../support/http.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { type ServerProcess, startServer } from "../support/process.ts";
import { until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";

const statusesIn = (text: string) =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => `${status}`);

const { skip, note } = onlyOn("Node", "the other runtimes answer by themselves");

describe(`bytes that are no request${note}`, { skip }, () => {
  let server: ServerProcess;

  before(async () => {
    server = await startServer({ STORAGE: "memory:", CLIENT_TIMEOUT: "1s" });
  });
  after(() => server.end("SIGKILL"));

  /** The statuses that a connection receives until it is closed; `then` is sent behind the first. */
  const answersTo = (sent: string, then?: string) =>
    new Promise<readonly string[]>((resolve, reject) => {
      const socket = net.connect(server.port, "localhost", () => socket.write(sent));
      let text = "";
      socket.on("data", (data) => {
        if (text === "" && then !== undefined) socket.write(then);
        text += data.toString("latin1");
      });
      socket.once("error", reject);
      socket.once("close", () => resolve(statusesIn(text)));
    });

  it("are answered with 400", async () => {
    assert.deepEqual(await answersTo("no request\r\n\r\n"), ["400"]);
  });

  it("are answered with 431 where a head is too long", async () => {
    const head = `GET /health HTTP/1.1\r\nHost: localhost\r\nA: ${"a".repeat(20_000)}`;
    assert.deepEqual(await answersTo(head), ["431"]);
  });

  it("T-46 are answered with 408 where a head does not end", async () => {
    assert.deepEqual(await answersTo("GET /health HTTP/1.1\r\n"), ["408"]);
  });

  it("are answered on a connection that had an answer before", async () => {
    const question = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert.deepEqual(await answersTo(question, "no request\r\n\r\n"), ["200", "400"]);
  });

  it("leave an answer that is being sent without another one in it", async () => {
    const user = newUser().base64;
    const client_id = newClient();
    // More than the buffers between server and reader hold.
    const payload = "p".repeat(5 * 2 ** 20);
    for (let operation_index = 0; operation_index < 4; operation_index++) {
      await store(server.url, { user, client_id, operation_index, payload });
    }
    const poll = syncRequest(JSON.stringify({ user, client_id: newClient() }));
    const socket = net.connect(server.port, "localhost", () => socket.write(poll));
    const statuses: string[] = [];
    let received = 0;
    socket.on("data", (data) => {
      if (received === 0) socket.write("no request\r\n\r\n");
      received += data.byteLength;
      statuses.push(...statusesIn(data.toString("latin1")));
    });
    socket.on("error", () => undefined);
    await until(() => socket.destroyed);
    assert.deepEqual(statuses, ["200"]);
    assert.ok(received < 20 * 2 ** 20, `${received} bytes`);
  });
});
