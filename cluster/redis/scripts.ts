/**
 * The scripts that Redis runs, each as one step that nothing else comes between. Times are those of
 * Redis, so that the clocks of the servers need not agree.
 */
import { createHash } from "node:crypto";

/** A script, and the name under which Redis keeps it. */
export interface Script {
  readonly source: string;
  readonly sha1: string;
}

function script(source: string): Script {
  return { source, sha1: createHash("sha1").update(source).digest("hex") };
}

/**
 * The versions of logs, made where there are none.
 *
 * KEYS: the epoch, and the versions. ARGV: a new token, and how long a version that is made is kept, in
 * seconds. Returns the epoch and the versions.
 */
export const VERSIONS = script(`
local values = {}
for i, key in ipairs(KEYS) do
  local value = redis.call('GET', key)
  if not value then
    value = ARGV[1] .. '.' .. i
    if i == 1 then redis.call('SET', key, value) else redis.call('SET', key, value, 'EX', ARGV[2]) end
  end
  values[i] = value
end
return values
`);

/**
 * Stores a new version of a log, announces it to all servers, and ends a claim.
 *
 * KEYS: the epoch, the version, the claims of the log. ARGV: the new version, how long it is kept in
 * seconds, the channel, the log, the change, the claim or "". Returns the epoch and the version before,
 * which is "-" where there was none.
 */
export const ANNOUNCE = script(`
local epoch = redis.call('GET', KEYS[1])
if not epoch then
  epoch = ARGV[1]
  redis.call('SET', KEYS[1], epoch)
end
local before = redis.call('GET', KEYS[2]) or '-'
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
if ARGV[6] ~= '' then redis.call('HDEL', KEYS[3], ARGV[6]) end
redis.call('PUBLISH', ARGV[3], table.concat({epoch, before, ARGV[1], ARGV[4], ARGV[5]}, ' '))
return {epoch, before}
`);

/**
 * Makes all versions differ from what they were, and tells all servers. KEYS: the epoch. ARGV: a new
 * token, the channel.
 */
export const FORGET = script(`
redis.call('SET', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[1])
return {}
`);

/** Ends a claim. KEYS: the claims of a log. ARGV: the claim. */
export const RELEASE = script(`
redis.call('HDEL', KEYS[1], ARGV[1])
return {}
`);

/**
 * A sign of life, or a farewell, and all servers that are expected.
 *
 * KEYS: the servers. ARGV: the server, "alive" or "left", how long a server is expected in milliseconds,
 * and for each other one that this one expects its id and how many milliseconds ago it was seen: Redis may
 * have lost it. Returns for each server its id, how many milliseconds ago it was seen, or "left", and its
 * last sign of life.
 */
export const MEMBERS = script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. string.format('%.0f', now))
for i = 4, #ARGV, 2 do
  redis.call('HSETNX', KEYS[1], ARGV[i], 'alive ' .. string.format('%.0f', now - ARGV[i + 1]))
end
local members = redis.call('HGETALL', KEYS[1])
local seen = {}
for i = 1, #members, 2 do
  local state, at = string.match(members[i + 1], '^(%a+) (%d+)$')
  local age = math.max(0, now - tonumber(at))
  if age > tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[1], members[i])
  else
    seen[#seen + 1] = members[i]
    seen[#seen + 1] = state == 'left' and 'left' or string.format('%.0f', age)
    seen[#seen + 1] = at
  end
end
return seen
`);

/**
 * Takes tokens from buckets; several takings, one after the other.
 *
 * KEYS: the buckets of all takings. ARGV: for each taking the number of its buckets, the tokens, "1" to
 * take only where a whole one is left, and for each bucket its rate and its burst. Returns for each
 * taking "1" or "0" and the tokens of each bucket afterwards.
 */
export const TAKE = script(`
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local result, key, arg = {}, 1, 1
while arg <= #ARGV do
  local count, tokens, onlyIfLeft = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1]), ARGV[arg + 2] == '1'
  arg = arg + 3
  local levels, isLeft = {}, true
  for i = 1, count do
    local rate, burst = tonumber(ARGV[arg + 2 * i - 2]), tonumber(ARGV[arg + 2 * i - 1])
    local bucket = redis.call('HMGET', KEYS[key + i - 1], 'tokens', 'at')
    local level = burst
    if bucket[1] then
      level = math.min(burst, bucket[1] + math.max(0, now - bucket[2]) * rate)
    end
    levels[i] = level
    if level < 1 then isLeft = false end
  end
  local taken = isLeft or not onlyIfLeft
  result[#result + 1] = taken and '1' or '0'
  for i = 1, count do
    local rate, burst = tonumber(ARGV[arg + 2 * i - 2]), tonumber(ARGV[arg + 2 * i - 1])
    local level = levels[i]
    if taken then level = math.min(burst, level - tokens) end
    local text = string.format('%.9f', level)
    redis.call('HSET', KEYS[key + i - 1], 'tokens', text, 'at', string.format('%.6f', now))
    redis.call('PEXPIRE', KEYS[key + i - 1], math.ceil((burst - level) / rate * 1000) + 1000)
    result[#result + 1] = text
  end
  key = key + count
  arg = arg + 2 * count
end
return result
`);

/**
 * Claims room in a log beside all other claims.
 *
 * KEYS: the epoch, the version, the claims of the log. ARGV: the epoch and the version that the claim
 * goes by, its id, its client, "1" where that is a new one, its objects and bytes, the room for bytes,
 * clients and runs (-1 for any), the runs of a new client, and how long the claim lasts at most in
 * milliseconds. Returns the outcome and what is claimed: bytes, new clients, objects.
 */
export const CLAIM = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('GET', KEYS[2]) ~= ARGV[2] then
  return {'outdated', '0', '0', '0'}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local claims = redis.call('HGETALL', KEYS[3])
local bytes, objects, clients, seen = 0, 0, 0, {[ARGV[4]] = true}
for i = 1, #claims, 2 do
  local ends, client, isNew, some, size = string.match(claims[i + 1], '^(%d+) (%S+) (%d) (%d+) (%d+)$')
  if tonumber(ends) <= now then
    redis.call('HDEL', KEYS[3], claims[i])
  elseif claims[i] ~= ARGV[3] then
    objects = objects + some
    bytes = bytes + size
    if isNew == '1' and not seen[client] then clients = clients + 1 end
    seen[client] = true
  end
end
local function answer(outcome)
  return {outcome, string.format('%.0f', bytes), string.format('%.0f', clients), string.format('%.0f', objects)}
end
local own = tonumber(ARGV[5])
local room = {bytes = tonumber(ARGV[8]), clients = tonumber(ARGV[9]), size = tonumber(ARGV[10])}
if room.bytes >= 0 and bytes + ARGV[7] > room.bytes then return answer('bytes') end
if room.size >= 0 and objects + ARGV[6] + (clients + own) * ARGV[11] > room.size then return answer('size') end
if own == 1 and room.clients >= 0 and clients + 1 > room.clients then return answer('clients') end
local ends = string.format('%.0f', now + ARGV[12])
redis.call('HSET', KEYS[3], ARGV[3], table.concat({ends, ARGV[4], ARGV[5], ARGV[6], ARGV[7]}, ' '))
redis.call('PEXPIRE', KEYS[3], ARGV[12])
return answer('granted')
`);
