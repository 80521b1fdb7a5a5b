/** Explains the errors of a file system, and says what to do about them. */
import { systemCodeOf } from "./durable-files.ts";

interface Explanation {
  /** In words for everybody. */
  readonly reason: string;
  /** For the operator. */
  readonly advice: string;
}

const explanations: Readonly<Record<string, Explanation>> = {
  ENOSPC: {
    reason: "the disk is full",
    advice: "df -h and df -i show whether room or inodes ran out",
  },
  EDQUOT: { reason: "the disk quota is used up", advice: "quota shows it" },
  EROFS: { reason: "the disk is read-only", advice: "dmesg says why, if it was not mounted so" },
  EACCES: { reason: "access is refused", advice: "the server's account has to own the folder" },
  EPERM: { reason: "access is refused", advice: "the server's account has to own the folder" },
  EMFILE: { reason: "too many files are open", advice: "raise ulimit -n" },
  ENFILE: { reason: "too many files are open", advice: "raise the sysctl fs.file-max" },
  EIO: { reason: "the disk does not work", advice: "dmesg has the fault" },
  ENAMETOOLONG: {
    reason: "the file system takes no names of 255 characters",
    advice: "encrypted folders take shorter ones: set STORAGE to a folder on another file system",
  },
};

/** What an error of the system means; `undefined` for one that says nothing to most people. */
export function explainSystemError(error: unknown): Explanation | undefined {
  const code = systemCodeOf(error);
  return typeof code === "string" && Object.hasOwn(explanations, code)
    ? explanations[code]
    : undefined;
}

/** There is no room for another file. */
export function isFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT"].some((code) => code === systemCodeOf(error));
}

/** The storage can be read, and takes nothing new for now. */
export function takesNothing(error: unknown): boolean {
  return isFull(error) || systemCodeOf(error) === "EROFS";
}
