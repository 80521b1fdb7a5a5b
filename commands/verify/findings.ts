/** What `verify` may find, and what to do about it. */
import type { Finding as FindingOf, Report } from "../report.ts";

export const KINDS = ["damaged", "hole", "fork", "foreign", "journal", "unchecked"] as const;

export type Kind = (typeof KINDS)[number];

export type Finding = FindingOf<Kind>;

export const ADVICE: Readonly<Record<Kind, string>> = {
  damaged:
    "Put the object back from a backup, under this very name; --full shows it whole. Without a " +
    "backup leave it as it is: the server asks the device that wrote it to send it again. A disk that " +
    "changes what it stores has to be replaced: dmesg and its SMART values show more.",
  hole:
    "Copy the objects with these operations from a backup into the storage; what is there already " +
    "is not to be replaced. Without a backup leave it: the server asks the device that wrote them to " +
    "send them again, and holds back what follows until then.",
  fork:
    "Nothing is lost. Two devices have used one client id, as after a device was restored from a " +
    "backup or copied. Its user has to look at what the app says on these devices.",
  foreign:
    "No server of this version has stored these. Move them out of the storage, unless a newer version " +
    "has been in use.",
  journal:
    "What these bytes held is lost here. Copy the objects of a backup into the storage, as files in " +
    "the folders of their users; without a backup, devices are asked to send it again. Check the disk.",
  unchecked:
    "The storage did not answer for these: run verify again, with --user to look at them alone.",
};

/** 0: all is whole; 1: something is not; 2: something could not be checked. */
export function exitCodeOf(report: Report<Kind>): number {
  if (KINDS.some((kind) => kind !== "unchecked" && report.count(kind) > 0)) return 1;
  return report.count("unchecked") > 0 ? 2 : 0;
}
