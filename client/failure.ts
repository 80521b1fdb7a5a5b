/** What an answer other than success means: an error whose message says what to change. */
import type { BoundedResponse } from "./bounded-response.ts";
import {
  errorCodeOf,
  invalidResponse,
  messageOf,
  printed,
  type ServerError,
  ServerRejected,
  ServerUnavailable,
} from "./errors.ts";

/** A wrong or hostile `Retry-After` does not silence a client for longer. */
const MAX_RETRY_AFTER_MS = 3600_000;

const ADVICE_ON_CLOCKS =
  "the clocks of this device and the server are more than a day apart: set the wrong one";

/** A signature for another time is good for a replay at that time, so none is made for a far one. */
export const MAX_CLOCK_SKEW_MS = 24 * 3600_000;

/**
 * The failure of a request.
 *
 * @param url what was asked
 * @param skew the time of the server minus that of this device, in milliseconds
 */
export function failureOf(
  { status, headers }: BoundedResponse,
  problem: Readonly<Record<string, unknown>>,
  url: URL,
  now: number,
  skew: number,
): ServerError {
  // The login page of a network, for example. The server has not done what a page seems to confirm.
  if (status < 400) return invalidResponse(adviceOn(status, headers.get("location"), url));
  if (!isRetryable(status)) {
    if (status !== 401) return new ServerRejected(status, problem);
    const isFar = Math.abs(skew) > MAX_CLOCK_SKEW_MS;
    const advice = isFar ? ADVICE_ON_CLOCKS : adviceOnSignature(problem, url);
    const code = isFar || problem.check === "clock" ? "clock-skew" : undefined;
    return new ServerRejected(status, problem, advice, code);
  }
  return new ServerUnavailable(messageOf(status, problem), errorCodeOf(status, problem), {
    retryAfter: retryAfterOf(headers.get("retry-after"), now),
  });
}

/** Whether the same request may succeed later. Content networks have statuses such as 522. */
function isRetryable(status: number): boolean {
  if (status < 500) return [408, 425, 429].includes(status);
  return ![501, 505, 507].includes(status);
}

/** @param location where a redirect leads: a browser hides that, and has the status 0 */
function adviceOn(status: number, location: string | null, url: URL): string {
  if (status === 0) return "it leads elsewhere: try https, or sign in to the network";
  if (location === null || !URL.canParse(location, url.href)) return `it has the status ${status}`;
  const to = printed(new URL(location, url).href.replace(/\/sync$/, ""));
  return `it leads to ${to}: use that address, or sign in to the network`;
}

function adviceOnSignature(
  { authority, path }: Readonly<Record<string, unknown>>,
  url: URL,
): string | undefined {
  const signed = url.host + url.pathname;
  const checked = `${authority}${path}`;
  if (typeof authority !== "string" || checked === signed) return undefined;
  const advice = `use that one, or set the server's PUBLIC_URL to ${new URL(".", url).href}`;
  return `the server takes its address for ${printed(checked)}, not ${signed}: ${advice}`;
}

/** Milliseconds of a `Retry-After`: seconds or a date (RFC 9110, section 10.2.3). */
function retryAfterOf(header: string | null, now: number): number {
  if (header === null) return 0;
  const wait = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(wait) ? 0 : Math.min(Math.max(0, wait), MAX_RETRY_AFTER_MS);
}
