/** The settings: environment variables, checked together at the start. */
import * as v from "valibot";
import { isNetwork } from "./http/address.ts";
import { LOG_LEVELS } from "./logger.ts";
import manifest from "./package.json" with { type: "json" };
import { isStorage, STORAGE_FORMS } from "./storage/open.ts";

export const VERSION = manifest.version;

const SIZES: Record<string, number> = { "": 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };
const TIMES: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A number with a unit from a table; `NaN` for what is none. */
function measured(text: string, units: Record<string, number>): number {
  const [, number, unit = ""] = /^(\d+)([A-Za-z]*)$/.exec(text) ?? [];
  return Number(number) * (units[unit] ?? Number.NaN);
}

function number(rule: string, min: number, max = Number.MAX_SAFE_INTEGER) {
  const inRange = (value: number) => value >= min && value <= max;
  return v.pipe(v.string(), v.regex(/^\d+(\.\d+)?$/, rule), v.toNumber(), v.check(inRange, rule));
}

function whole(rule: string, min: number, max = Number.MAX_SAFE_INTEGER) {
  return v.pipe(number(rule, min, max), v.integer(rule));
}

function bytes(min: number) {
  const rule = `must be a size of at least ${min} bytes, such as 500000, 512KiB, 16MiB or 1GiB`;
  return v.pipe(
    v.string(),
    v.transform((text) => measured(text, SIZES)),
    v.check((size) => Number.isSafeInteger(size) && size >= min, rule),
  );
}

const durationRule = "must be a time such as 500ms, 30s, 5m or 2h, or 0, or forever";
const duration = v.pipe(
  v.string(),
  v.transform((text) => {
    if (text === "forever") return Number.POSITIVE_INFINITY;
    return text === "0" ? 0 : measured(text, TIMES);
  }),
  v.check((time) => !Number.isNaN(time), durationRule),
);

const originsRule = "must be * or origins such as https://app.example, separated by commas";
const origins = v.pipe(
  v.string(),
  v.transform((text): "*" | string[] =>
    text === "*" ? text : text.split(",").map((origin) => origin.trim()),
  ),
  v.check((list) => list === "*" || list.every(isOrigin), originsRule),
);

/** True for an origin as browsers spell it. Pages inside an app have such as capacitor://localhost. */
function isOrigin(text: string): boolean {
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/\s]+$/.test(text) || !URL.canParse(text)) return false;
  const { origin } = new URL(text);
  return origin === text || origin === "null";
}

const publicUrlRule = "must be none or an address such as https://sync.example, with no ? or #";
const publicUrl = v.pipe(
  v.string(),
  v.check((text) => text === "none" || isPublicUrl(text), publicUrlRule),
  v.transform((text) => (text === "none" ? undefined : new URL(text).href.replace(/\/$/, ""))),
);

function isPublicUrl(text: string): boolean {
  if (!/^https?:\/\/[^?#@\s]+$/.test(text) || !URL.canParse(text)) return false;
  return new URL(text).host !== "";
}

/** From whom signed requests are asked: from the users who have sent one, or from all. */
const SIGNATURES = ["optional", "required"] as const;
const proxiesRule =
  "must be none or addresses such as 192.0.2.1 or 10.0.0.0/8, separated by commas";
const proxies = v.pipe(
  v.string(),
  v.transform((text) => (text === "none" ? [] : text.split(",").map((part) => part.trim()))),
  v.check((list) => list.every(isNetwork), proxiesRule),
);

/** The longest is shorter than the idle time of connections (http/listen.ts). */
const timeoutRule = "must be a time from 100ms to 4m, such as 30s";
const timeout = v.pipe(
  v.string(),
  v.transform((text) => measured(text, TIMES)),
  v.check((time) => time >= 100 && time <= 240_000, timeoutRule),
);

const countRule = "must be a whole number of at least 0; 0 sets no limit";

const portRule = "must be a port from 0 to 65535; 0 picks a free one";

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
    v.pipe(whole(portRule, 0, 65_535), v.description("port to listen on; 0 picks a free one")),
    "8080",
  ),
  STORAGE: v.optional(
    v.pipe(
      v.string(),
      v.check(isStorage, `must be ${STORAGE_FORMS}`),
      v.description(
        "where operations are kept: the path of a folder, or s3://bucket/prefix; memory: keeps nothing",
      ),
    ),
    "./data",
  ),
  LISTING_TTL: v.optional(
    v.pipe(
      duration,
      v.description(
        "how long what another process writes to the same storage may stay unseen; " +
          "0 lists storage for every request, forever is for one process alone",
      ),
    ),
    "30s",
  ),
  LISTING_CACHE_RUNS: v.optional(
    v.pipe(
      whole("must be a whole number of at least 1", 1),
      v.description("how many stored runs the listing cache holds, over all users"),
    ),
    "1000000",
  ),
  OBJECT_CACHE_BYTES: v.optional(
    v.pipe(bytes(0), v.description("how many bytes of payloads are cached; 0 caches none")),
    "64MiB",
  ),
  COMPACTION: v.optional(
    v.pipe(
      v.picklist(["on", "off"], "must be on or off"),
      v.description("whether small objects are packed into segments in the background"),
    ),
    "on",
  ),
  RATE_LIMIT: v.optional(
    v.pipe(
      number("must be a number of at least 0, such as 20 or 0.5; 0 turns the limit off", 0),
      v.description(
        "tokens a user gains in a second: a request costs 1, and 1 for each MiB moved; " +
          "0 turns the limit off",
      ),
    ),
    "20",
  ),
  RATE_BURST: v.optional(
    v.pipe(
      number("must be a number of at least 1", 1),
      v.description("tokens that a user can save up"),
    ),
    "200",
  ),
  SIGNATURES: v.optional(
    v.pipe(
      v.picklist(SIGNATURES, `must be one of ${SIGNATURES.join(", ")}`),
      v.description(
        "optional asks for signed requests of those users who have sent one; required asks " +
          "everybody for them",
      ),
    ),
    "optional",
  ),
  PUBLIC_URL: v.optional(
    v.pipe(
      publicUrl,
      v.description(
        "address by which clients reach the server, such as https://sync.example: what they " +
          "sign requests for; none goes by the request's Host",
      ),
    ),
    "none",
  ),
  USERS: v.optional(
    v.pipe(
      v.string(),
      v.minLength(1, "must be open or the path of a file"),
      v.description(
        "open lets everybody in; else the path of a file with a fingerprint or a public key " +
          "of a user on each line",
      ),
    ),
    "open",
  ),
  QUOTA_BYTES: v.optional(
    v.pipe(bytes(0), v.description("bytes that a user may store; 0 sets no limit")),
    "1GiB",
  ),
  QUOTA_CLIENTS: v.optional(
    v.pipe(
      whole(countRule, 0),
      v.description("clients under which a user may store operations; 0 sets no limit"),
    ),
    "1000",
  ),
  NEW_USERS_PER_HOUR: v.optional(
    v.pipe(
      whole(countRule, 0),
      v.description(
        "users with nothing stored yet that may begin to store in an hour from one network " +
          "address; 0 sets no limit",
      ),
    ),
    "100",
  ),
  TRUSTED_PROXIES: v.optional(
    v.pipe(
      proxies,
      v.description(
        "addresses of proxies, separated by commas, that are believed whose request they pass " +
          "on (Forwarded, X-Forwarded-For)",
      ),
    ),
    "none",
  ),
  MAX_BODY: v.optional(v.pipe(bytes(1024), v.description("largest request body")), "16MiB"),
  MAX_REQUESTS: v.optional(
    v.pipe(
      whole("must be a whole number of at least 2", 2),
      v.description("requests to /sync in flight; half of them from one network address"),
    ),
    "1000",
  ),
  MAX_BUFFERED: v.optional(
    v.pipe(
      bytes(2048),
      v.description(
        "bytes of request bodies and of operations read ahead that are in memory at once; " +
          "at least twice MAX_BODY",
      ),
    ),
    "128MiB",
  ),
  CLIENT_TIMEOUT: v.optional(
    v.pipe(timeout, v.description("how long a client may send nothing, or take nothing")),
    "30s",
  ),
  CORS_ORIGIN: v.optional(
    v.pipe(
      origins,
      v.description("origins whose web pages may sync, separated by commas; * is all of them"),
    ),
    "*",
  ),
  DEMO: v.optional(
    v.pipe(
      v.picklist(["on", "off"], "must be on or off"),
      v.description("whether the page at / is served: a notebook to try the server with"),
    ),
    "on",
  ),
  LOG: v.optional(
    v.pipe(
      v.picklist(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(", ")}`),
      v.description("how much goes to standard error, one JSON object a line"),
    ),
    "info",
  ),
});

const Checked = v.pipe(
  Settings,
  v.forward(
    v.partialCheck(
      [["MAX_BODY"], ["MAX_BUFFERED"]],
      // What breaks its own rule is told of by that.
      ({ MAX_BODY, MAX_BUFFERED }) =>
        !Number.isSafeInteger(MAX_BODY) || !(MAX_BUFFERED >= 2048 && MAX_BUFFERED < 2 * MAX_BODY),
      "must be at least twice MAX_BODY",
    ),
    ["MAX_BUFFERED"],
  ),
);

/** The settings as the server uses them: times in milliseconds, sizes in bytes. */
export type Config = v.InferOutput<typeof Settings>;

/** Settings that break their rule. The message has a line for each. */
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

Usage: start it without arguments; settings are environment variables.
  --help       show this text
  --version    show the version

Setting               Default     Meaning
${table.join("\n")}
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
