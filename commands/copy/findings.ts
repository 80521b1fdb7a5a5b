/** What `copy` may find, and what to do about it. */
import type { Finding as FindingOf } from "../report.ts";

export const KINDS = ["damaged", "missing", "lost", "journal"] as const;

export type Kind = (typeof KINDS)[number];

export type Finding = FindingOf<Kind>;

export const ADVICE: Readonly<Record<Kind, string>> = {
  damaged:
    "These were not copied: what FROM holds under their names is not what the names say. What TO " +
    "has of an earlier copy stays. See verify FROM.",
  missing: "FROM lists these, and does not have them. See verify FROM.",
  lost:
    "These were stored in TO without an error, and are not there as they were stored. Do not trust " +
    "TO: look at its disk, or its service, and copy to another place.",
  journal: "What these bytes held is not in the copy either. See verify FROM.",
};
