/** What servers do when one of them is cut off from Redis, leaves, or dies. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import {
  hasRedis,
  openPath,
  type Path,
  type Redis,
  skipRedis,
  startRedis,
} from "../support/redis.ts";
import { until } from "../support/socket.ts";
import { answersNothing, closeAll, join, type Member } from "./servers.ts";

if (!hasRedis) skipRedis();

describe("a server that is cut off from Redis", { skip: !hasRedis }, () => {
  let redis: Redis;
  let path: Path;
  let away: Member;
  let stays: Member;

  before(async () => {
    redis = await startRedis();
  });
  after(() => redis.remove());
  beforeEach(async () => {
    await redis.command("FLUSHALL");
    path = await openPath(redis.port);
    away = await join(path.url);
    stays = await join(redis.url);
  });
  afterEach(async () => {
    path.delay = 0;
    await closeAll();
    await path.close();
  });
  const changesOf = (log: string) =>
    stays.heard.filter((one) => one.log === log).map(({ change }) => change);

  it("announces on its return what it could not", async () => {
    const old = await stays.version("log");
    path.cut();
    await away.gone();
    assert.ok(await answersNothing(away, old));
    assert.equal(await stays.version("log"), old);
    path.open();
    await away.back();
    await until(() => stays.heard.length > 0, "the other server hears of it");
    assert.deepEqual(changesOf("log"), [""]);
    assert.equal(stays.heard[0]?.before, old);
    assert.equal(await stays.version("log"), stays.heard[0]?.after);
    assert.ok(stays.cluster.follows(old));
    assert.deepEqual(stays.reasons, []);
  });

  it("announces again what changes while it is being announced", async () => {
    path.cut();
    await away.gone();
    await away.cluster.announce("log", "first");
    path.delay = 200;
    path.open();
    // The other hears of it before the reply is there.
    await until(() => stays.heard.length === 1, "the other server hears of the first");
    await away.cluster.announce("log", "second");
    await until(() => stays.heard.length === 2, "the other server hears of the second");
    assert.deepEqual(changesOf("log"), ["", ""]);
  });

  it("has no version of before count where it cannot name all that it has changed", async () => {
    const logs = Array.from({ length: 1100 }, (_, i) => `log ${i}`);
    const all = async (member: Member) => Promise.all([...logs, "other"].map(member.version));
    const old = await all(stays);
    path.cut();
    await away.gone();
    await Promise.all(logs.map((log) => away.cluster.announce(log, "stored")));
    path.open();
    await Promise.all([away.back(), until(() => stays.reasons.length > 0)]);
    await stays.back();
    assert.ok(old.every((version) => !stays.cluster.follows(version)));
    const [past, present] = [new Set(old), await all(stays)];
    assert.ok(present.every((version) => !past.has(version)));
  });

  it("is waited for where its replies are slow, and goes on alone where they are too slow", async () => {
    path.delay = 20;
    const version = await away.version("log");
    assert.equal((await away.cluster.announce("log", "slow"))?.before, version);
    assert.deepEqual(away.reasons, []);
    const hasty = await join(path.url, { replyWithin: 250 });
    path.delay = 60_000;
    assert.ok(await answersNothing(hasty, version));
  });
});

describe("the servers of a cluster", { skip: !hasRedis }, () => {
  let redis: Redis;
  let path: Path;
  before(async () => {
    redis = await startRedis();
    path = await openPath(redis.port);
  });
  after(async () => {
    await closeAll();
    await path.close();
    await redis.remove();
  });

  it("rely on no version while one of them is silent, and do again once it has left", async () => {
    const silent = await join(path.url, { ttl: 1000 });
    const members = [await join(redis.url, { ttl: 1000 }), await join(redis.url, { ttl: 1000 })];
    await Promise.all(members.map(({ back }) => back()));
    path.cut();
    await Promise.all(members.map(({ gone }) => gone()));
    assert.deepEqual(
      members.map(({ reasons }) => reasons),
      [[], []],
    );
    path.open();
    await Promise.all([silent, ...members].map(({ back }) => back()));
    await silent.cluster.close();
    // Longer than a silent one is tolerated.
    await new Promise((resolve) => setTimeout(resolve, 500));
    await Promise.all(members.map(({ back }) => back()));
  });
});
