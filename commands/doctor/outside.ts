/** Looks at a server by its address, as devices reach it. */
import { connect } from "node:tls";
import * as v from "valibot";
import { MAX_CLOCK_SKEW_SECONDS } from "../../protocol/signature.ts";
import { countText } from "../output.ts";
import { ask, diagnose, NoAnswer, type Validity } from "./ask.ts";
import type { Check } from "./check.ts";

/** For documentation (RFC 5737): nobody connects from it. */
const NOBODY = "192.0.2.77";
const TIMEOUT_MS = 15_000;
/** How much earlier than its second part the first one has to come, in milliseconds. */
const EARLIER_MS = 500;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** So many days before its end, or in the last fifth of its time, a certificate should be a new one. */
const LATE_DAYS = 14;
const LATE_SHARE = 0.2;

const Seen = v.object({
  authority: v.string(),
  path: v.string(),
  http: v.nullable(v.string()),
  time: v.string(),
  max_body: v.number(),
  max_wait: v.number(),
  hops: v.number(),
  first: v.boolean(),
  trusted: v.boolean(),
  named: v.boolean(),
});
type Seen = v.InferOutput<typeof Seen>;

export interface OutsideOptions {
  /** Leaves out what takes long: the largest body, and the longest wait. */
  readonly quick: boolean;
  /** Milliseconds of Unix time. */
  readonly time?: () => number;
}

/** @param url where sync requests go */
export async function* lookFromOutside(
  url: URL,
  { quick, time = Date.now }: OutsideOptions,
): AsyncGenerator<Check, void, void> {
  const isSecure = url.protocol === "https:";
  const isLocal = /^(localhost|127\..*|\[::1\])$/.test(url.hostname);
  const asked = time();
  let seen: Seen;
  let isProxied = false;
  try {
    const answer = await diagnose(url, { address: NOBODY }, TIMEOUT_MS, {
      "X-Forwarded-For": NOBODY,
    });
    if (isSecure) yield certificateOf(answer.valid, time());
    else yield { topic: "tls", level: isLocal ? "note" : "wrong", what: "there is no TLS" };
    const found = seenIn(answer.status, answer.text);
    if (found === undefined) {
      yield {
        topic: "answer",
        level: "wrong",
        what: `the answer is ${answer.status}, and no diagnosis`,
      };
      return;
    }
    seen = found;
    // The server itself sends neither.
    isProxied = answer.headers.server !== undefined || answer.headers.via !== undefined;
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    const topic = /certificate|self.signed|CERT|altname/i.test(causeOf(error))
      ? "certificate"
      : "answer";
    yield { topic, level: "wrong", what: causeOf(error) };
    return;
  }
  yield { topic: "answer", level: "ok", what: "a Sync-Server answers" };
  if (isSecure) yield await http2Of(url);
  yield* headOf(seen, url, { asked, answered: time(), isProxied });
  yield await partsOf(url);
  yield await openOf(url, isLocal);
  if (quick) return;
  yield await bodyOf(url, seen);
  yield await waitOf(url, seen);
}

/** One that is renewed by itself is renewed in time: where less is left, that has failed. */
export function certificateOf(valid: Validity | undefined, now: number): Check {
  if (valid === undefined || Number.isNaN(valid.until)) {
    return { topic: "certificate", level: "ok", what: "it is valid" };
  }
  const { from, until } = valid;
  const left = until - now;
  const isLate = left < Math.min(LATE_DAYS * DAY, LATE_SHARE * (until - from));
  const days = Math.floor(left / DAY);
  const time = days > 0 ? countText(days, "day") : countText(Math.floor(left / HOUR), "hour");
  return {
    topic: "certificate",
    level: isLate ? "wrong" : "ok",
    what: `it is valid for ${time}`,
  };
}

/** Which version of HTTP is offered to browsers. */
function http2Of(url: URL): Promise<Check> {
  const port = Number(url.port || 443);
  return new Promise((resolve) => {
    const socket = connect({
      host: url.hostname,
      port,
      servername: url.hostname,
      ALPNProtocols: ["h2", "http/1.1"],
    });
    const end = (level: Check["level"], what: string) => {
      socket.destroy();
      resolve({ topic: "http2", level, what });
    };
    socket.setTimeout(TIMEOUT_MS, () => end("note", "it does not say"));
    socket.once("error", (error: Error) => end("note", error.message));
    socket.once("secureConnect", () => {
      const isOffered = socket.alpnProtocol === "h2";
      end(isOffered ? "ok" : "wrong", isOffered ? "it is offered" : "only HTTP/1.1 is offered");
    });
  });
}

/** What the server has seen of the request. */
function* headOf(
  seen: Seen,
  url: URL,
  {
    asked,
    answered,
    isProxied,
  }: { readonly asked: number; readonly answered: number; readonly isProxied: boolean },
): Generator<Check, void, void> {
  const { authority, path, http } = seen;
  if (http !== null) {
    yield {
      topic: "upstream",
      level: http === "1.0" ? "wrong" : "ok",
      what: `HTTP/${http} reaches the server`,
    };
  }
  const isSame = authority === url.host && path === url.pathname;
  yield {
    topic: "host",
    level: isSame ? "ok" : "wrong",
    what: `signatures are checked for ${authority}${path}`,
  };
  yield forwardedFor(seen, isProxied);
  const off = Math.round((Date.parse(seen.time) - (asked + answered) / 2) / 1000);
  const level =
    Math.abs(off) >= MAX_CLOCK_SKEW_SECONDS ? "wrong" : Math.abs(off) > 30 ? "note" : "ok";
  yield {
    topic: "clock",
    level,
    what: `the server's is ${Math.abs(off)} s ${off < 0 ? "behind" : "ahead of"} this one`,
  };
}

/** By which address the server counts, of a request that names one which was made up. */
function forwardedFor({ hops, first, trusted, named }: Seen, isProxied: boolean): Check {
  if (hops === 0) {
    return { topic: "forwarded", level: "wrong", what: "X-Forwarded-For does not arrive" };
  }
  if (!trusted) {
    // A proxy between has changed it.
    return isProxied || hops > 1 || !first
      ? { topic: "trusted", level: "wrong", what: "TRUSTED_PROXIES does not name the proxy" }
      : {
          topic: "trusted",
          level: "ok",
          what: "there is no proxy, and no X-Forwarded-For is believed",
        };
  }
  return named && hops === 1
    ? { topic: "spoofed", level: "wrong", what: "an X-Forwarded-For that was made up is believed" }
    : {
        topic: "trusted",
        level: "ok",
        what: "an X-Forwarded-For that was made up is not believed",
      };
}

/** Whether the first part of an answer comes before the second. */
async function partsOf(url: URL): Promise<Check> {
  try {
    const { status, firstAfter, endAfter } = await diagnose(url, { parts: true }, TIMEOUT_MS, {
      // As browsers send it: what compresses may wait for more.
      "Accept-Encoding": "gzip",
    });
    if (status !== 200)
      return { topic: "buffering", level: "note", what: `the answer was ${status}` };
    const isEarly = endAfter - firstAfter >= EARLIER_MS;
    const what = isEarly ? "answers come as they are sent" : "an answer is held back until its end";
    return { topic: "buffering", level: isEarly ? "ok" : "wrong", what };
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    return { topic: "buffering", level: "wrong", what: causeOf(error) };
  }
}

async function openOf(url: URL, isLocal: boolean): Promise<Check> {
  try {
    const { status, text } = await ask(new URL("metrics", url), { timeout: TIMEOUT_MS });
    const isOpen = status === 200 && text.includes("sync_");
    const what = isOpen ? "/metrics answers" : "/metrics does not answer";
    return { topic: "open", level: isOpen ? (isLocal ? "note" : "wrong") : "ok", what };
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    return { topic: "open", level: "ok", what: "/metrics does not answer" };
  }
}

/** Whether the largest body arrives. */
async function bodyOf(url: URL, { max_body: most }: Seen): Promise<Check> {
  const around = JSON.stringify({ fill: "" }).length;
  const question = { fill: "x".repeat(most - around) };
  const limit = `MAX_BODY, ${most} bytes,`;
  try {
    const { status } = await diagnose(url, question, 8 * TIMEOUT_MS);
    if (status === 200) return { topic: "body", level: "ok", what: `${limit} arrives` };
    return { topic: "body", level: "wrong", what: `${limit} is answered ${status}` };
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    return { topic: "body", level: "wrong", what: `${limit} does not arrive: ${causeOf(error)}` };
  }
}

/** Whether an answer comes that takes as long as one may. */
async function waitOf(url: URL, { max_wait: most }: Seen): Promise<Check> {
  if (most === 0) return { topic: "time", level: "note", what: "MAX_WAIT is 0: devices poll" };
  try {
    const { status, endAfter } = await diagnose(url, { wait: most }, most * 1000 + TIMEOUT_MS);
    const seconds = (endAfter / 1000).toFixed(1);
    if (status === 200)
      return { topic: "time", level: "ok", what: `an answer after ${seconds} s comes` };
    if (status === 503)
      return { topic: "time", level: "note", what: "the server has no place for a wait" };
    return {
      topic: "time",
      level: "wrong",
      what: `the answer is ${status} after ${seconds} of ${most} s`,
    };
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    const seconds = (error.after / 1000).toFixed(1);
    return {
      topic: "time",
      level: "wrong",
      what: `no answer after ${seconds} of ${most} s: ${causeOf(error)}`,
    };
  }
}

function seenIn(status: number, text: string): Seen | undefined {
  const [line = ""] = text.split("\n", 1);
  if (status !== 200 || !line.startsWith("{")) return undefined;
  try {
    const result = v.safeParse(Seen, JSON.parse(line));
    return result.success ? result.output : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function causeOf({ message, cause }: NoAnswer): string {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return message !== "" ? message : code;
}
