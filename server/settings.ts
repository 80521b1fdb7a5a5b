import * as v from "valibot";
import { isStorage, STORAGE_FORMS, STORAGE_HELP } from "../storage/open.ts";
import * as kind from "./config-values.ts";
import { LOG_FORMATS, LOG_LEVELS } from "./logger.ts";

/** All settings: how each is read, its default and its meaning. */
export const Settings = v.object({
  HOST: v.optional(
    v.pipe(
      kind.host,
      v.description(
        "host name or address to listen on; 0.0.0.0 is every IPv4 address, unix:/run/sync.sock a " +
          "Unix socket",
      ),
    ),
    "localhost",
  ),
  PORT: v.optional(
    v.pipe(kind.port, v.description("port to listen on; 0 picks a free one")),
    "8080",
  ),
  STORAGE: v.optional(
    v.pipe(
      kind.unquoted,
      v.check(isStorage, `must be ${STORAGE_FORMS}`),
      v.description(`where operations are kept: ${STORAGE_HELP}`),
    ),
    "./data",
  ),
  LISTING_TTL: v.optional(
    v.pipe(
      kind.duration,
      v.description(
        "how long the server may miss what another process writes to the same storage; " +
          "0 lists storage for every request, forever is for a single process",
      ),
    ),
    "30s",
  ),
  CLUSTER: v.optional(
    v.pipe(
      kind.cluster,
      v.description(
        "the Redis or Valkey through which all servers on one storage learn at once what each of " +
          "them stores, and share limits: redis://host:6379; none is for one server",
      ),
    ),
    "none",
  ),
  LISTING_CACHE_RUNS: v.optional(
    v.pipe(
      kind.whole("must be a whole number of at least 1", 1),
      v.description(
        "how many stored runs the listing cache holds, over all users; a user counts as 4 more, " +
          "and a client as 2",
      ),
    ),
    "1000000",
  ),
  OBJECT_CACHE_BYTES: v.optional(
    v.pipe(kind.bytes(0), v.description("how many bytes of payloads are cached; 0 caches none")),
    "64MiB",
  ),
  JOURNAL: v.optional(
    v.pipe(
      v.picklist(["on", "off"], "must be on or off"),
      v.description(
        "whether a folder stores small objects in a journal, many at a time: on or off",
      ),
    ),
    "on",
  ),
  COMPACTION: v.optional(
    v.pipe(
      v.picklist(["on", "off"], "must be on or off"),
      v.description("whether small objects are packed into segments in the background: on or off"),
    ),
    "on",
  ),
  PACKED_RETENTION: v.optional(
    v.pipe(
      kind.retention,
      v.description(
        "how long packed objects stay beside their segment: longer than a copy of the storage takes",
      ),
    ),
    "15m",
  ),
  RETENTION: v.optional(
    v.pipe(
      kind.age,
      v.description(
        "the age at which a snapshot lets the operations that it covers be deleted, such as 30d; " +
          "off deletes nothing",
      ),
    ),
    "off",
  ),
  RATE_LIMIT: v.optional(
    v.pipe(
      kind.number("must be a number of at least 0, such as 20 or 0.5; 0 turns the limit off", 0),
      v.description(
        "tokens a user gains in a second: a request costs 1, and 1 for each MiB moved, where each " +
          "operation adds 1 KiB, and so does each object listed before an append is refused; 0 turns the limit off",
      ),
    ),
    "20",
  ),
  RATE_BURST: v.optional(
    v.pipe(
      kind.number("must be a number of at least 1", 1),
      v.description("tokens that a user can save up"),
    ),
    "200",
  ),
  SIGNATURES: v.optional(
    v.pipe(
      v.picklist(["optional", "required"], "must be one of optional, required"),
      v.description(
        "optional requires signed requests from users who have sent one; required requires " +
          "them from everyone",
      ),
    ),
    "optional",
  ),
  PUBLIC_URL: v.optional(
    v.pipe(
      kind.publicUrl,
      v.description(
        "address by which clients reach the server, such as https://sync.example: signatures " +
          "are checked against it; none uses the request's Host",
      ),
    ),
    "none",
  ),
  USERS: v.optional(
    v.pipe(
      kind.unquoted,
      v.minLength(1, "must be open or the path of a file"),
      v.description(
        "who may be a user: open accepts everyone; otherwise the path of a file with a " +
          "fingerprint or a public key on each line",
      ),
    ),
    "open",
  ),
  QUOTA_BYTES: v.optional(
    v.pipe(
      kind.bytes(0),
      v.description(
        "bytes that a user may store, where each object counts 4 KiB more than its size; 0 sets " +
          "no limit",
      ),
    ),
    "1GiB",
  ),
  QUOTA_CLIENTS: v.optional(
    v.pipe(
      kind.count,
      v.description("clients under which a user may store operations; 0 sets no limit"),
    ),
    "1000",
  ),
  NEW_USERS_PER_HOUR: v.optional(
    v.pipe(
      kind.count,
      v.description(
        "users with nothing stored yet that may start to store in an hour from one network " +
          "address; 0 sets no limit",
      ),
    ),
    "100",
  ),
  TRUSTED_PROXIES: v.optional(
    v.pipe(
      kind.proxies,
      v.description(
        "addresses and networks of proxies, separated by commas, whose Forwarded or " +
          "X-Forwarded-For header is believed",
      ),
    ),
    "none",
  ),
  MAX_BODY: v.optional(v.pipe(kind.bytes(1024), v.description("largest request body")), "16MiB"),
  MAX_REQUESTS: v.optional(
    v.pipe(
      kind.whole("must be a whole number of at least 2", 2),
      v.description("requests to /sync in flight; at most half of them from one network address"),
    ),
    "1000",
  ),
  MAX_BUFFERED: v.optional(
    v.pipe(
      kind.bytes(2048),
      v.description(
        "bytes of request bodies, and of operations read ahead for slow readers, in memory at " +
          "once; at least twice MAX_BODY",
      ),
    ),
    "128MiB",
  ),
  CLIENT_TIMEOUT: v.optional(
    v.pipe(
      kind.timeout,
      v.description("how long a client may send nothing, or read nothing; from 100ms to 4m"),
    ),
    "30s",
  ),
  MAX_WAIT: v.optional(
    v.pipe(
      kind.wait,
      v.description(
        "how long a request that asks for it (Prefer: wait) waits for news at most: up to 4m, and " +
          "shorter than a proxy's timeout; 0 turns waiting off",
      ),
    ),
    "55s",
  ),
  MAX_WAITING: v.optional(
    v.pipe(
      kind.whole("must be a whole number of at least 2", 2),
      v.description(
        "requests that wait for news at once; at most half of them from one network address",
      ),
    ),
    "10000",
  ),
  CORS_ORIGIN: v.optional(
    v.pipe(
      kind.origins,
      v.description("origins whose web pages may sync, separated by commas; * is all of them"),
    ),
    "*",
  ),
  DEMO: v.optional(
    v.pipe(
      v.picklist(["on", "off"], "must be on or off"),
      v.description("whether the notebook page is served at /: on or off"),
    ),
    "on",
  ),
  STATUS_TOKEN: v.optional(
    v.pipe(
      kind.token,
      v.description(
        "the password of the operator's page at /status, of at least 20 characters; off serves none",
      ),
    ),
    "off",
  ),
  LOG: v.optional(
    v.pipe(
      v.picklist(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(", ")}`),
      v.description(
        `how much goes to standard error, one line for each event: ${LOG_LEVELS.join(", ")}`,
      ),
    ),
    "info",
  ),
  LOG_FORMAT: v.optional(
    v.pipe(
      v.picklist(LOG_FORMATS, `must be one of ${LOG_FORMATS.join(", ")}`),
      v.description("how a line of the log is written: json for programs, text for people"),
    ),
    "json",
  ),
});

/** The settings as the server uses them: times in milliseconds, sizes in bytes. */
export type Config = v.InferOutput<typeof Settings>;
