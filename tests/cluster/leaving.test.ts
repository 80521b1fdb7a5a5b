/** What a server that stops leaves behind for the others. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join as pathOf } from "node:path";
import { describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { sync } from "../support/http.ts";
import { startServer } from "../support/process.ts";
import { hasRedis, skipRedis, startRedis } from "../support/redis.ts";
import { until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";
import { closeAll, join } from "./servers.ts";

if (!hasRedis) skipRedis();

describe("a server that stops", { skip: !hasRedis }, () => {
  it("is expected by the others where storage may still do what it has failed to do", async () => {
    const redis = await startRedis();
    const folder = temporaryFolder();
    try {
      const server = await startServer({
        STORAGE: folder.path,
        JOURNAL: "off",
        LISTING_TTL: "1s",
        CLUSTER: redis.url,
      });
      const { cluster } = await join(redis.url, { ttl: 1000 });
      // What is put is written there first.
      const scratch = pathOf(folder.path, ".tmp");
      rmSync(scratch, { recursive: true });
      writeFileSync(scratch, "");
      const operation = { user: newUser().base64, client_id: newClient(), operation_index: 0 };
      assert.equal((await sync(server.url, { ...operation, payload: "x" })).status, 503);
      await server.end("SIGTERM");
      await until(() => cluster.missing === 1, "the server is missing");
    } finally {
      await closeAll();
      await redis.remove();
      folder.remove();
    }
  });
});
