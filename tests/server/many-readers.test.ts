/** Many readers of large operations at once, on a real server process. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Flood, RegularUser, slowReader } from "../../bench/lib/flood.ts";
import { randomPublicKey } from "../../bench/lib/users.ts";
import { store } from "../support/http.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { startServer } from "../support/process.ts";
import { newClient } from "../support/users.ts";

const READERS = 20;

const { skip, note } = onlyOn("Node", "no other runtime accepts one connection in a turn");

describe(`many readers of large operations${note}`, { skip }, () => {
  it("T-45 do not hold up a request that comes after theirs", async (test) => {
    const server = await startServer({ STORAGE: "memory:", MAX_BUFFERED: "512MiB" });
    test.after(() => server.end("SIGKILL"));
    const user = randomPublicKey();
    const client_id = newClient();
    const payload = "p".repeat(4 * 2 ** 20);
    await store(server.url, { user, client_id, operation_index: 0, payload });
    const flood = new Flood(server.port, READERS, slowReader({ user, client_id: newClient() }));
    test.after(() => flood.end());
    // All of them are in the queue of connections before it.
    await new RegularUser(server.url).sync();
    const begun = flood.statuses.get("200") ?? 0;
    assert.ok(begun < READERS / 2, `${begun} of ${READERS} were answered before`);
  });
});
