/** What scripts are given, and what their replies say. */
import type { Claimed } from "../cluster.ts";
import type { Sighting } from "../members.ts";
import type { Reply } from "./connection.ts";

/** A limit as the scripts take it. */
export function limit(value: number): string {
  return Number.isFinite(value) ? String(Math.max(0, value)) : "-1";
}

/** What became of a claim. */
export function outcomeOf(text: string): Claimed["outcome"] {
  if (text === "granted" || text === "bytes" || text === "clients" || text === "size") return text;
  return "outdated";
}

/** How each server was seen. */
export function* sightings(reply: Reply): Generator<Sighting, void, void> {
  for (let i = 0; i + 2 < reply.length; i += 3) {
    const [id = "", age, sign = ""] = reply.slice(i, i + 3);
    yield age === "left" ? { left: id } : { id, age: Number(age), sign };
  }
}
