import type { Check } from "../../commands/doctor/check.ts";
import { doctor } from "../../commands/doctor/doctor.ts";
import { jsonOf } from "./commands.ts";

/** What `sync-server doctor` says of a place: the code, and the level and the words by topic. */
export async function examine(
  place: string,
  given: Readonly<Record<string, string>> = {},
): Promise<{
  code: number;
  levels: Record<string, Check["level"]>;
  words: Record<string, string>;
}> {
  const { code, objects } = await jsonOf(doctor, place, given, [place]);
  const levels: Record<string, Check["level"]> = {};
  const words: Record<string, string> = {};
  for (const { topic, level, what } of objects) {
    if (level !== "ok" && level !== "note" && level !== "wrong") throw new TypeError(`${level}`);
    levels[`${topic}`] = level;
    words[`${topic}`] = `${what}`;
  }
  return { code, levels, words };
}

/** What has to change, by the topics. */
export function wrongIn(levels: Readonly<Record<string, Check["level"]>>): string[] {
  return Object.entries(levels).flatMap(([topic, level]) => (level === "wrong" ? [topic] : []));
}
