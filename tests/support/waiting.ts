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

/** How many waits have ended in some way. */
export function ended(url: string, how: string): Promise<number> {
  return metricOf(url, `sync_waits_total{end="${how}"}`);
}
