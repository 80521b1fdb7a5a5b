/** The settings: environment variables, all checked at the start. */
import * as v from "valibot";
import manifest from "../package.json" with { type: "json" };
import { isStorage, STORAGE_FORMS, STORAGE_HELP } from "../storage/open.ts";
import * as kind from "./config-values.ts";
import { LOG_LEVELS } from "./logger.ts";

/** As `package.json` has it. */
export const VERSION = manifest.version;

const Settings = v.object({
  HOST: v.optional(
    v.pipe(
      v.string(),
      v.minLength(1, "must be a host name or an address"),
      v.description("host name or address to listen on; 0.0.0.0 is every IPv4 address"),
    ),
    "localhost",
  ),
  PORT: v.optional(
    v.pipe(kind.port, v.description("port to listen on; 0 picks a free one")),
    "8080",
  ),
  STORAGE: v.optional(
    v.pipe(
      v.string(),
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
  LISTING_CACHE_RUNS: v.optional(
    v.pipe(
      kind.whole("must be a whole number of at least 1", 1),
      v.description("how many stored runs the listing cache holds, over all users"),
    ),
    "1000000",
  ),
  OBJECT_CACHE_BYTES: v.optional(
    v.pipe(kind.bytes(0), v.description("how many bytes of payloads are cached; 0 caches none")),
    "64MiB",
  ),
  COMPACTION: v.optional(
    v.pipe(
      v.picklist(["on", "off"], "must be on or off"),
      v.description("whether small objects are packed into segments in the background: on or off"),
    ),
    "on",
  ),
  RATE_LIMIT: v.optional(
    v.pipe(
      kind.number("must be a number of at least 0, such as 20 or 0.5; 0 turns the limit off", 0),
      v.description(
        "tokens a user gains in a second: a request costs 1, and 1 for each MiB moved, where each " +
          "operation adds 1 KiB; 0 turns the limit off",
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
      v.string(),
      v.minLength(1, "must be open or the path of a file"),
      v.description(
        "who may be a user: open accepts everyone; otherwise the path of a file with a " +
          "fingerprint or a public key on each line",
      ),
    ),
    "open",
  ),
  QUOTA_BYTES: v.optional(
    v.pipe(kind.bytes(0), v.description("bytes that a user may store; 0 sets no limit")),
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
  LOG: v.optional(
    v.pipe(
      v.picklist(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(", ")}`),
      v.description(
        `how much goes to standard error, one JSON object a line: ${LOG_LEVELS.join(", ")}`,
      ),
    ),
    "info",
  ),
});

const Checked = v.pipe(
  Settings,
  v.forward(
    v.partialCheck(
      [["MAX_BODY"], ["MAX_BUFFERED"]],
      // A value that breaks its own rule is reported by that rule alone.
      ({ MAX_BODY, MAX_BUFFERED }) =>
        !Number.isSafeInteger(MAX_BODY) || !(MAX_BUFFERED >= 2048 && MAX_BUFFERED < 2 * MAX_BODY),
      "must be at least twice MAX_BODY",
    ),
    ["MAX_BUFFERED"],
  ),
);

/** The settings as the server uses them: times in milliseconds, sizes in bytes. */
export type Config = v.InferOutput<typeof Settings>;

/** Settings break their rules. The message has a line for each. */
export class InvalidConfig extends Error {
  override name = "InvalidConfig";
}

/** Reads the settings from environment variables. Throws `InvalidConfig` with every fault. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(
    Object.keys(Settings.entries)
      .map((name) => [name, environment[name]] as const)
      .filter(([, value]) => value !== undefined),
  );
  const result = v.safeParse(Checked, given);
  if (result.success) return result.output;
  const faults = result.issues.map((issue) => {
    const name = v.getDotPath(issue) ?? "";
    return `${name}=${given[name] ?? ""}: ${name} ${issue.message}`;
  });
  throw new InvalidConfig(faults.join("\n"));
}

/** The text of `--help`. */
export function helpText(): string {
  const table = Object.entries(Settings.entries).flatMap(([name, { wrapped, default: value }]) => {
    const [first, ...rest] = wrap(v.getDescription(wrapped) ?? "", 56);
    return [
      `  ${name.padEnd(20)}${value.padEnd(12)}${first}`,
      ...rest.map((line) => " ".repeat(34) + line),
    ];
  });
  return `Sync-Server ${VERSION}: an end-to-end encrypted sync server

Usage: sync-server [STORAGE]
  [STORAGE]    where operations are kept, in place of the setting STORAGE
  --help       show this text
  --version    show the version

Settings are environment variables.

Setting               Default     Meaning
${table.join("\n")}

Sizes are bytes, or take KiB, MiB or GiB. Times take ms, s, m or h.
`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}
