/** The kinds of values that settings have, each with the rule that its error shows. */
import * as v from "valibot";
import { parseSize } from "../sync/size.ts";
import { isProxy } from "./http/client-address.ts";

const TIMES: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const AGES: Record<string, number> = { ...TIMES, d: 86_400_000 };

/** A number with a unit from a table; `NaN` for any other text. */
function parseQuantity(text: string, units: Record<string, number>): number {
  const [, number, unit = ""] = /^(\d+)([A-Za-z]*)$/.exec(text) ?? [];
  return Number(number) * (units[unit] ?? Number.NaN);
}

/** The milliseconds of an age such as 12h or 7d; `NaN` for any other text. */
export function parseAge(text: string): number {
  return parseQuantity(text, AGES);
}

/** A decimal number. */
export function number(rule: string, min: number, max = Number.MAX_SAFE_INTEGER) {
  const inRange = (value: number) => value >= min && value <= max;
  return v.pipe(v.string(), v.regex(/^\d+(\.\d+)?$/, rule), v.toNumber(), v.check(inRange, rule));
}

/** A whole number. */
export function whole(rule: string, min: number, max = Number.MAX_SAFE_INTEGER) {
  return v.pipe(number(rule, min, max), v.integer(rule));
}

/** A size in bytes, with or without a unit. */
export function bytes(min: number) {
  const rule = `must be a size of at least ${min} bytes, such as 500000, 512KiB, 16MiB or 1GiB`;
  return v.pipe(
    v.string(),
    v.transform(parseSize),
    v.check((size) => Number.isSafeInteger(size) && size >= min, rule),
  );
}

const durationRule = "must be a time such as 500ms, 30s, 5m or 2h, or 0, or forever";

/** A time in milliseconds; `Infinity` for `forever`. */
export const duration = v.pipe(
  v.string(),
  v.transform((text) => {
    if (text === "forever") return Number.POSITIVE_INFINITY;
    return text === "0" ? 0 : parseQuantity(text, TIMES);
  }),
  v.check((time) => !Number.isNaN(time), durationRule),
);

const hostRule = "must be a host name, an address, or unix: and the path of a socket";

/** What to listen on. IPv6 addresses may stand in brackets, as in URLs. */
export const host = v.pipe(
  v.string(),
  v.regex(/^(?!unix:$)[^\s"']+$/, hostRule),
  v.transform((text) => text.replace(/^\[([0-9A-Fa-f:.]+)\]$/, "$1")),
);

const unquotedRule =
  "must be set without quotes, ~, $ or spaces around it, and without line ends: they would become " +
  "part of a path where no shell takes them away";

/** A path as a shell would give it: a file of settings keeps quotes, `~` and carriage returns. */
export const unquoted = v.pipe(
  v.string(),
  v.check(
    (text) => text === text.trim() && !/^[~$"'`]|["'`]$/.test(text) && !hasControl(text),
    unquotedRule,
  ),
);

function hasControl(text: string): boolean {
  return [...text].some((character) => character < " " || character === "\u007f");
}

const originsRule = "must be * or origins such as https://app.example, separated by commas";

/** Origins of web pages. */
export const origins = v.pipe(
  v.string(),
  v.transform((text): "*" | string[] =>
    text === "*" ? text : text.split(",").map((origin) => origin.trim()),
  ),
  v.check((list) => list === "*" || list.every(isOrigin), originsRule),
);

/** True for an origin as browsers spell it. Pages inside an app have ones like capacitor://localhost. */
function isOrigin(text: string): boolean {
  // No pattern such as https://*.example: an origin is compared as it is.
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/\s*]+$/.test(text) || !URL.canParse(text)) return false;
  const { origin } = new URL(text);
  return origin === text || origin === "null";
}

const publicUrlRule = "must be none or an address such as https://sync.example, with no ? or #";

/** An address with its path; `undefined` for none. */
export const publicUrl = v.pipe(
  v.string(),
  v.check((text) => text === "none" || isPublicUrl(text), publicUrlRule),
  v.transform((text) => (text === "none" ? undefined : new URL(text).href.replace(/\/$/, ""))),
);

function isPublicUrl(text: string): boolean {
  if (!/^https?:\/\/[^?#@\s]+$/.test(text) || !URL.canParse(text)) return false;
  return new URL(text).host !== "";
}

const proxiesRule =
  "must be none or addresses such as 192.0.2.1 or 10.0.0.0/8, or unix, separated by commas";

/** Network addresses, CIDR blocks and `unix`; an empty list for none. */
export const proxies = v.pipe(
  v.string(),
  v.transform((text) => (text === "none" ? [] : text.split(",").map((part) => part.trim()))),
  v.check((list) => list.every(isProxy), proxiesRule),
);

const timeoutRule = "must be a time from 100ms to 4m, such as 30s";

/** A time in milliseconds, shorter than the idle timeout of connections (server/http/listen.ts). */
export const timeout = v.pipe(
  v.string(),
  v.transform((text) => parseQuantity(text, TIMES)),
  v.check((time) => time >= 100 && time <= 240_000, timeoutRule),
);

const waitRule = "must be a time of whole seconds up to 4m, such as 55s, or 0";

/** A time in milliseconds, shorter than the idle timeout of connections, and in whole seconds. */
export const wait = v.pipe(
  v.string(),
  v.transform((text) => (text === "0" ? 0 : parseQuantity(text, TIMES))),
  v.check((time) => time % 1000 === 0 && time <= 240_000, waitRule),
);

/** A time in milliseconds, of at most a day: packed objects accumulate for as long. */
export const retention = v.pipe(
  v.string(),
  v.transform((text) => (text === "0" ? 0 : parseQuantity(text, TIMES))),
  v.check((time) => time <= 86_400_000, "must be a time of at most 24h, such as 15m, or 0"),
);

const ageRule = "must be off or an age of at least 1h, such as 30d";

/** An age in milliseconds; `undefined` for off. At least an hour: other servers have listed by then. */
export const age = v.pipe(
  v.string(),
  v.check((text) => text === "off" || parseAge(text) >= 3_600_000, ageRule),
  v.transform((text) => (text === "off" ? undefined : parseAge(text))),
);

const clusterRule =
  "must be none or an address such as redis://127.0.0.1:6379 or rediss://cache.example";

/** The address of Redis; `undefined` for none. */
export const cluster = v.pipe(
  v.string(),
  v.check((text) => text === "none" || isCluster(text), clusterRule),
  v.transform((text) => (text === "none" ? undefined : text)),
);

function isCluster(text: string): boolean {
  if (!/^rediss?:\/\/[^\s#]+$/.test(text) || !URL.canParse(text)) return false;
  const { hostname, pathname } = new URL(text);
  return hostname !== "" && /^\/?\d*$/.test(pathname);
}

const tokenRule = "must be off or at least 20 visible ASCII characters, without spaces";

/** What only the operator knows; `undefined` for off. */
export const token = v.pipe(
  v.string(),
  v.check((text) => text === "off" || /^[!-~]{20,200}$/.test(text), tokenRule),
  v.transform((text) => (text === "off" ? undefined : text)),
);

/** A limit that 0 turns off. */
export const count = whole("must be a whole number of at least 0; 0 sets no limit", 0);

/** A port to listen on. */
export const port = whole("must be a port from 0 to 65535; 0 picks a free one", 0, 65_535);
