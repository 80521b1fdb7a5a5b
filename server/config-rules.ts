/** What settings have to do with each other. */
import * as v from "valibot";
import type { Settings } from "./settings.ts";

/** The settings with the rules that are about several of them. */
export function withRules(settings: typeof Settings) {
  return v.pipe(
    settings,
    v.forward(
      v.partialCheck(
        [["MAX_BODY"], ["MAX_BUFFERED"]],
        // A value that breaks its own rule is reported by that rule alone.
        ({ MAX_BODY, MAX_BUFFERED }) =>
          !Number.isSafeInteger(MAX_BODY) || !(MAX_BUFFERED >= 2048 && MAX_BUFFERED < 2 * MAX_BODY),
        "must be at least twice MAX_BODY",
      ),
      ["MAX_BUFFERED"],
    ),
    v.forward(
      v.partialCheck(
        [["CLUSTER"], ["LISTING_TTL"]],
        ({ CLUSTER, LISTING_TTL }) =>
          CLUSTER === undefined || LISTING_TTL !== Number.POSITIVE_INFINITY,
        "needs a LISTING_TTL other than forever: servers go by it while they cannot reach each other",
      ),
      ["CLUSTER"],
    ),
    v.forward(
      v.partialCheck(
        [["RETENTION"], ["LISTING_TTL"]],
        ({ RETENTION, LISTING_TTL }) =>
          RETENTION === undefined ||
          LISTING_TTL === Number.POSITIVE_INFINITY ||
          RETENTION >= 2 * LISTING_TTL,
        "must be at least twice LISTING_TTL: other servers must have seen what is deleted",
      ),
      ["RETENTION"],
    ),
    v.forward(
      v.partialCheck(
        [["CLUSTER"], ["STORAGE"]],
        ({ CLUSTER, STORAGE }) => CLUSTER === undefined || !STORAGE.startsWith("memory:"),
        "needs a STORAGE that the servers share: a folder or a bucket",
      ),
      ["CLUSTER"],
    ),
  );
}
