/** Requests that wait for news. */
import { type Answer, sync } from "./http.ts";
import { metricOf } from "./metrics.ts";
import { until } from "./socket.ts";

/** Longer than any test takes: what ends such a wait is something else. */
export const LONG = 50;

export function waitFor(
  url: string,
  body: unknown,
  { seconds = LONG, headers = {}, signal }: WaitOptions = {},
): Promise<Answer> {
  return sync(url, body, { Prefer: `wait=${seconds}`, ...headers }, signal);
}

export interface WaitOptions {
  readonly seconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Waits until so many requests have a place. */
export async function untilWaiting(url: string, count: number): Promise<void> {
  await until(
    async () => (await metricOf(url, "sync_waiting")) === count,
    `${count} requests wait for news`,
  );
}

/**
 * A wait that its end will answer, and that was seen to wait: on a busy machine a short one may end before.
 *
 * @returns the answer, in an object: it is not awaited here.
 */
export async function untilShortWait(
  url: string,
  body: unknown,
): Promise<{ readonly answer: Promise<Answer> }> {
  for (let seconds = 1; ; seconds *= 2) {
    let hasEnded = false;
    const answer = waitFor(url, body, { seconds }).finally(() => {
      hasEnded = true;
    });
    await until(async () => hasEnded || (await metricOf(url, "sync_waiting")) === 1);
    if (!hasEnded) return { answer };
    await answer;
  }
}

/** How many waits have ended in some way. */
export function ended(url: string, how: string): Promise<number> {
  return metricOf(url, `sync_waits_total{end="${how}"}`);
}
