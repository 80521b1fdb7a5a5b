/** What servers do when Redis is killed, paused, emptied, out of memory, or has old data. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { hasRedis, type Redis, skipRedis, startRedis } from "../support/redis.ts";
import { until } from "../support/socket.ts";
import { answersNothing, CLAIM, closeAll, join, type Member } from "./servers.ts";

if (!hasRedis) skipRedis();

describe("servers whose Redis fails", { skip: !hasRedis }, () => {
  let redis: Redis;
  let members: Member[] = [];
  let a: Member;
  let b: Member;

  before(async () => {
    redis = await startRedis();
  });
  after(() => redis.remove());
  beforeEach(async () => {
    await redis.command("FLUSHALL");
    a = await join(redis.url);
    b = await join(redis.url);
    members = [a, b];
  });
  afterEach(async () => {
    await closeAll();
    await until(hasNoClient, "no connection is left behind");
  });

  const hasNoClient = async () => (await redis.command("CLIENT", "LIST", "TYPE", "pubsub")) === "";

  it("go on alone while it is killed, and trust no version of before when it is back, empty", async () => {
    const old = await a.version("log");
    await redis.kill();
    await Promise.all(members.map(({ gone }) => gone()));
    assert.ok(await answersNothing(a, old));
    await redis.restart();
    await Promise.all(members.map(({ back }) => back()));
    assert.equal(a.cluster.follows(old), false);
    const versions = [await a.version("log"), await a.version("log"), await a.version("other")];
    assert.equal(new Set([old, ...versions]).size, 3);
    await b.cluster.announce("log", "again");
    await until(() => a.heard.at(-1)?.change === "again", "a hears of it");
  });

  it("trust no version of before when it comes back with old data", async () => {
    const logs = ["one", "two", "three"];
    const all = (member: Member) => Promise.all(logs.map(member.version));
    const first = [...(await all(a)), ...(await all(b))];
    await redis.command("SAVE");
    for (const log of logs) await a.cluster.announce(log, "lost by Redis");
    const second = [...(await all(a)), ...(await all(b))];
    await redis.kill();
    await Promise.all(members.map(({ gone }) => gone()));
    await redis.restart();
    await Promise.all(members.map(({ back }) => back()));
    const past = new Set([...first, ...second]);
    for (const member of members) {
      assert.ok([...past].every((version) => !member.cluster.follows(version)));
      for (const version of await all(member)) assert.equal(past.has(version), false);
    }
  });

  it("wait for no reply longer than they may while it is paused", async () => {
    const member = await join(redis.url, { replyWithin: 250 });
    const version = await member.version("log");
    redis.signal("SIGSTOP");
    try {
      assert.ok(await answersNothing(member, version));
      assert.match(member.reasons.at(-1) ?? "", /did not answer within 250 ms/);
      // Nothing is sent any more: all that is left to wait for are turns of promises.
      let turns = 0;
      const count = async () => {
        for (; turns < 1000; turns++) await undefined;
      };
      await Promise.race([answersNothing(member, version), count()]);
      assert.ok(turns < 1000);
    } finally {
      redis.signal("SIGCONT");
    }
    await Promise.all([member, ...members].map(({ back }) => back()));
    assert.equal(member.cluster.follows(version), false);
  });

  it("connect to it again although they are busy while it is paused", async () => {
    const member = await join(redis.url, { replyWithin: 250 });
    redis.signal("SIGSTOP");
    try {
      await member.cluster.version("log");
      await member.gone();
      for (let i = 0; i < 100; i++) {
        member.cluster.release("log", "claim");
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      assert.doesNotMatch(member.reasons.join(), /offline/);
    } finally {
      redis.signal("SIGCONT");
    }
    await member.back();
  });

  it("leave no connection behind where they close before it answers", async () => {
    redis.signal("SIGSTOP");
    try {
      const late = join(redis.url, { joinWithin: 200 });
      await assert.rejects(late, { name: "ClusterUnavailable" });
    } finally {
      redis.signal("SIGCONT");
    }
  });

  it("see another version of everything after FLUSHALL", async () => {
    const old = await a.version("log");
    await redis.command("FLUSHALL");
    const fresh = await a.version("log");
    assert.notEqual(fresh, old);
    await redis.command("FLUSHALL");
    const step = await b.cluster.announce("log", "news");
    await until(() => a.heard.length === 1, "a hears of it");
    assert.ok(step !== undefined);
    assert.ok(![old, fresh].includes(a.heard[0]?.before ?? ""));
    assert.equal(await a.version("log"), a.heard[0]?.after);
  });

  it("go on after SCRIPT FLUSH", async () => {
    const version = await a.version("log");
    const flush = () => redis.command("SCRIPT", "FLUSH");
    await flush();
    assert.equal(await a.version("log"), version);
    await flush();
    const claimed = await a.cluster.claim({ ...CLAIM, version });
    assert.equal(claimed?.outcome, "granted");
    await flush();
    const buckets = [{ name: "b", rate: 1, burst: 1 }];
    const taken = await a.cluster.take({ buckets, tokens: 1, onlyIfLeft: true });
    assert.equal(taken?.taken, true);
    await flush();
    a.cluster.release("log", "claim");
    assert.equal((await a.cluster.announce("log", "news"))?.before, version);
    assert.deepEqual(a.reasons, []);
  });

  it("go on alone while it may not be written to, and make up for that", async () => {
    const faults = [
      { begin: ["REPLICAOF", "127.0.0.1", "1"], end: ["REPLICAOF", "NO", "ONE"], says: /READONLY/ },
      {
        begin: ["CONFIG", "SET", "maxmemory", "1"],
        end: ["CONFIG", "SET", "maxmemory", "0"],
        says: /OOM/,
      },
    ];
    for (const { begin, end, says } of faults) {
      await redis.command(...begin);
      assert.equal(await a.cluster.announce("log", "stored"), undefined);
      assert.match(a.reasons.join(), says);
      await a.gone();
      await redis.command(...end);
      await Promise.all(members.map(({ back }) => back()));
      await b.version("log");
    }
  });

  it("pause longer each time where a connection never serves for long", async () => {
    await redis.command("SET", "{sync-server:0}:b:broken", "no bucket");
    const buckets = [{ name: "broken", rate: 1, burst: 1 }];
    const since = performance.now();
    while (a.reasons.length < 5) {
      await a.back();
      await a.cluster.take({ buckets, tokens: 1, onlyIfLeft: true });
    }
    await a.back();
    assert.match(a.reasons.join(), /WRONGTYPE/);
    // Half of 50, 100, 200, 400 and 800 ms at least.
    assert.ok(performance.now() - since > 700);
  });
});
