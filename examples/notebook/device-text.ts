/** What a person should know of another device. The page and the command line share it. */
import type { OtherDevice } from "../../client/index.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A device that has written a note gives a sign of life once a day, while it runs. */
const SILENT = 2 * DAY;

/**
 * A sentence about a device, without its name and its full stop.
 *
 * @param newest the index of the newest note of this device; `undefined` if it has written none
 * @param now in milliseconds since 1970, as `heardAt` is
 */
export function deviceText(
  { heardAt, seen = -1 }: OtherDevice,
  newest: number | undefined,
  now: number,
): string {
  if (newest === undefined) return heardText(heardAt, now);
  const has =
    seen >= newest ? "has all notes of this device" : "has not confirmed all notes of this device";
  return `${heardText(heardAt, now)}, ${has}`;
}

function heardText(heardAt: number | undefined, now: number): string {
  if (heardAt === undefined) return "not heard of lately";
  const age = Math.max(0, now - heardAt);
  if (age < MINUTE) return "heard of just now";
  return age < SILENT ? `heard of ${span(age)} ago` : `silent for ${span(age)}`;
}

function span(age: number): string {
  if (age < HOUR) return count(age / MINUTE, "minute");
  return age < DAY ? count(age / HOUR, "hour") : count(age / DAY, "day");
}

function count(value: number, unit: string): string {
  const whole = Math.floor(value);
  return `${whole} ${unit}${whole === 1 ? "" : "s"}`;
}
