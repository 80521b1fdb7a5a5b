import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { fromSource } from "../support/process.ts";
import { hasRedis, skipRedis } from "../support/redis.ts";
import { Report } from "./simulation/report.ts";
import { runRound } from "./simulation/round.ts";

const { skip, note } = onlyOn("Node", "`npm run simulate:cluster` has rounds on Bun and Deno");

/** One of each kind: Redis with other data, and away, and away from one server. */
const PLAN = {
  seed: 1,
  servers: 2,
  ttl: 2,
  users: 1,
  clients: 2,
  faults: [
    "Redis is emptied",
    "one server is partitioned from Redis",
    "Redis is killed and starts empty",
  ],
  calm: 500,
  // A busy machine may not fail it.
  answeredWithin: Number.POSITIVE_INFINITY,
  wokenWithin: Number.POSITIVE_INFINITY,
};

describe("two servers, devices, and a Redis with faults", () => {
  if (!hasRedis) skipRedis();
  it(`withhold nothing from those who read and wait${note}`, {
    skip: skip || !hasRedis,
  }, async () => {
    const { path, remove } = temporaryFolder();
    const report = new Report(() => undefined);
    try {
      await runRound(PLAN, fromSource, path, report);
      assert.deepEqual(report.faults, []);
      assert.ok(report.exact > 0);
    } finally {
      remove();
    }
  });
});
