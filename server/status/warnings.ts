/** What an operator should change, as far as a server knows it from within. */

import { lacksOf } from "../checkup/room.ts";
import { STORAGE_CHANGES, type StorageTopic } from "../checkup/storage-changes.ts";
import type { StorageCheck } from "../checkup/storage-checks.ts";
import { bytesText, countText } from "../format.ts";
import type { Config } from "../settings.ts";
import type { Numbers } from "./numbers.ts";
import type { Warning } from "./page.ts";

/** How the request for the page came. */
export interface Arrival {
  /** It has a header field in which proxies say who connects. */
  readonly isForwarded: boolean;
  /** `TRUSTED_PROXIES` names the other end of its connection. */
  readonly isTrusted: boolean;
}

export interface Judged {
  readonly config: Pick<Config, "PUBLIC_URL">;
  readonly numbers: Numbers;
  readonly arrival: Arrival;
  /** Why storage is not ready; absent where it is. */
  readonly notReady?: string | undefined;
  /** What the last look at storage has found. */
  readonly checks: readonly StorageCheck[];
}

/** What a check is about, as a person reads it. */
export const TITLES: Readonly<Record<StorageTopic, string>> = {
  storage: "Storage",
  consistency: "Consistency",
  slow: "Speed",
  clock: "Clock",
  room: "Disk",
};

type Rule = (judged: Judged) => Warning | readonly Warning[] | undefined | false;

/** Above this, journals are not emptied. */
const MOST_JOURNAL_BYTES = 256 * 2 ** 20;

/** The limits are those of deploy/alerts.yaml. */
const RULES: readonly Rule[] = [
  ({ notReady }) =>
    notReady !== undefined && {
      what: notReady,
      change: "Appends are refused until it works. The log has the reason.",
    },
  ({ numbers }) => {
    const free = numbers.find("disk_free_bytes");
    if (free === undefined) return [];
    const size = numbers.of("disk_size_bytes");
    const lacks = lacksOf({ free, size, freeFiles: numbers.find("disk_free_files") });
    return lacks.map((what) => ({ what, change: STORAGE_CHANGES.room.what }));
  },
  ({ checks }) =>
    checks
      .filter(({ level }) => level !== "ok")
      .map(({ topic, what }) => ({
        what: `${TITLES[topic]}: ${what}.`,
        change: STORAGE_CHANGES[topic].what,
      })),
  ({ numbers }) => {
    const failures = numbers.sum("storage_failures");
    if (failures === 0) return undefined;
    return {
      what: `Calls to storage have failed since the start: ${countText(failures)}.`,
      change: "The log has the reasons.",
    };
  },
  ({ numbers }) => {
    const damage = numbers.sum("log_damage") + numbers.of("object_cache", "damaged");
    if (damage === 0) return undefined;
    return {
      what: `Damage was met since the start: ${countText(damage)}.`,
      change: "sync-server verify says what is damaged, and what to do about it.",
    };
  },
  ({ numbers }) =>
    numbers.of("refusals", "internal-error") > 0 && {
      what: "Requests were answered with an internal error.",
      change: "The log has the stack, as 'a request failed'. Please report it.",
    },
  ({ numbers }) =>
    numbers.of("refusals", "overloaded") > 0 && {
      what: "Requests were refused because of MAX_REQUESTS or MAX_BUFFERED.",
      change: "Raise them, where there is memory, or find out who sends so much.",
    },
  ({ numbers }) =>
    numbers.of("waits", "full") > 0 && {
      what: "Some devices found no place to wait for news.",
      change: "They poll meanwhile. Raise MAX_WAITING and the limit of open files.",
    },
  ({ numbers }) =>
    numbers.of("journal_bytes") > MOST_JOURNAL_BYTES && {
      what: `Journals hold ${bytesText(numbers.of("journal_bytes"))}, and are not emptied.`,
      change: "The log has the reason, as 'journals could not be emptied'.",
    },
  ({ numbers }) =>
    numbers.of("compaction_logs", "failing") > 0 && {
      what: "Some logs could not be packed.",
      change: "Nothing is lost, and first syncs become slow. The log has the reason.",
    },
  ({ numbers }) =>
    numbers.find("cluster_reached") === 0 && {
      what: "CLUSTER is not reached.",
      change: "Nothing is lost. After half a day without it, the server refuses to store.",
    },
  ({ numbers }) => {
    const missing = numbers.of("cluster_missing");
    if (missing === 0) return undefined;
    return {
      what: `Other servers are silent: ${countText(missing)}.`,
      change:
        "They were killed, or do not reach CLUSTER. Meanwhile this one lists storage more often.",
    };
  },
  ({ numbers }) =>
    numbers.of("log_lines_lost") > 0 && {
      what: "Lines of the log could not be written.",
      change: "Look at what reads its standard error.",
    },
  ({ arrival: { isForwarded, isTrusted } }) =>
    isForwarded &&
    !isTrusted && {
      what: "A proxy says who connects, and is not believed.",
      change:
        "Set TRUSTED_PROXIES to the address that it connects from: all users share the limits of one network address.",
    },
  ({ arrival: { isForwarded }, config: { PUBLIC_URL } }) =>
    isForwarded &&
    PUBLIC_URL === undefined && {
      what: "PUBLIC_URL is not set, behind a proxy.",
      change:
        "Set it to the address that devices use, so that requests signed for another server are refused.",
    },
];

export function warningsOf(judged: Judged): Warning[] {
  return RULES.flatMap((rule) => rule(judged) || []);
}
