/** Goes through a storage part by part, so that the names of one part are in memory at a time. */
import { type Fingerprint, isFingerprint, userPrefix } from "../oplog/names.ts";
import { byUser, PARTS } from "../oplog/users.ts";
import { partitionOf, type StorageReader, type StoredObject } from "../storage/driver.ts";
import { filterInSlices } from "../storage/slices.ts";
import { type Option, WrongArgument } from "./command.ts";

/** The users whose fingerprints begin alike. */
export interface Part {
  /** How all names in it begin. */
  readonly prefix: string;
  /** Their objects, with the times where the storage has them. */
  readonly users: ReadonlyMap<Fingerprint, readonly StoredObject[]>;
  /** Objects whose names begin with no fingerprint. */
  readonly foreign: readonly StoredObject[];
  /** How much of the storage comes before this part: from 0 to 1. */
  readonly before: number;
  /** How much of the storage it is. */
  readonly share: number;
}

export const USER_OPTION: Option = {
  name: "user",
  value: "FINGERPRINT",
  meaning: "only this user, or those whose fingerprints begin so",
};

/** The value of `--user`; "" for all users. */
export function userOf(options: ReadonlyMap<string, string>): string {
  const user = options.get(USER_OPTION.name);
  if (user === undefined) return "";
  if (/^[A-Za-z0-9_-]{1,43}$/.test(user)) return user;
  throw new WrongArgument("--user takes a fingerprint, 43 of A-Z a-z 0-9 - _, or how it begins.");
}

/** @param user a fingerprint, or how those of some users begin; "" for the whole storage */
export async function* partsOf(
  storage: StorageReader,
  user: string,
): AsyncGenerator<Part, void, void> {
  const prefixes = user === "" ? PARTS : [isFingerprint(user) ? userPrefix(user) : user];
  const share = 1 / prefixes.length;
  for (const [i, prefix] of prefixes.entries()) {
    const objects = await storage.list(prefix, true);
    const isForeign = ({ name }: StoredObject) => !isFingerprint(partitionOf(name));
    const foreign = user === "" ? await filterInSlices(objects, isForeign) : [];
    yield { prefix, users: await byUser(objects), foreign, before: i * share, share };
  }
}
