/** Explains the errors of a file system, and says what to do about them. */
import { ObjectMissing, ObjectUnreadable, StorageFull, StorageUnavailable } from "./driver.ts";
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

/** Nothing can be stored or deleted. */
export function isReadOnly(error: unknown): boolean {
  return systemCodeOf(error) === "EROFS";
}

/** The storage can be read, and takes nothing new for now. */
export function takesNothing(error: unknown): boolean {
  return isFull(error) || isReadOnly(error);
}

/** Does some work; an error of the system becomes `StorageUnavailable`, with the cause. */
export async function guarded<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ObjectMissing || error instanceof ObjectUnreadable) throw error;
    const said = error instanceof Error ? error.message : String(error);
    const { reason, advice } = explainSystemError(error) ?? {};
    const why = reason === undefined ? said : `${reason} (${said}); ${advice}`;
    const Unavailable = isFull(error) ? StorageFull : StorageUnavailable;
    throw new Unavailable(`could not ${what}: ${why}`, {
      cause: error,
      reason: reason ?? `it could not ${what}`,
    });
  }
}
