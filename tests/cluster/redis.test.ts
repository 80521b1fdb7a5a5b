import { after, before } from "node:test";
import { openCluster } from "../../cluster/open.ts";
import { hasRedis, PATIENT, type Redis, skipRedis, startRedis } from "../support/redis.ts";
import { contract } from "./contract.ts";

/** Moves what buckets and claims say about time into the past. */
const AGE = `
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':b:*')) do
  local at = redis.call('HGET', key, 'at')
  redis.call('HSET', key, 'at', string.format('%.6f', at - ARGV[2] / 1000))
end
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':c:*')) do
  local claims = redis.call('HGETALL', key)
  for i = 1, #claims, 2 do
    local ends, rest = string.match(claims[i + 1], '^(%d+)(.*)$')
    redis.call('HSET', key, claims[i], string.format('%.0f', ends - ARGV[2]) .. rest)
  end
end
return {}`;

if (hasRedis) {
  let redis: Redis;
  let places = 0;
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis.remove());

  contract("a cluster by way of Redis", () => {
    const name = `place${++places}`;
    const options = { ttl: 30_000, onChange: () => undefined, ...PATIENT };
    return {
      join: () => openCluster(`${redis.url}/0?prefix=${name}`, options),
      pass: async (milliseconds) => {
        await redis.command("EVAL", AGE, "0", `{${name}:0}`, `${milliseconds}`);
      },
    };
  });
} else skipRedis();
