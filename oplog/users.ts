/** All users of a storage, part by part: no list has to hold all of them. */
import { partitionOf, type StoredObject } from "../storage/driver.ts";
import { Slices } from "../storage/slices.ts";
import { type Fingerprint, isFingerprint } from "./names.ts";

/** Every fingerprint begins with one of these: a list for each shows all users. */
export const PARTS: readonly string[] = [
  ..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
];

/** The objects of each user among some; without those of no user. */
export async function byUser(
  objects: readonly StoredObject[],
): Promise<Map<Fingerprint, StoredObject[]>> {
  const slices = new Slices();
  const users = new Map<Fingerprint, StoredObject[]>();
  for (const object of objects) {
    const user = partitionOf(object.name);
    if (!isFingerprint(user)) continue;
    const own = users.get(user);
    if (own === undefined) users.set(user, [object]);
    else own.push(object);
    const pause = slices.next();
    if (pause !== undefined) await pause;
  }
  return users;
}
