/** Copies one object, and looks at it on the way. */
import { ObjectDamaged } from "../../oplog/object-cache.ts";
import {
  type Driver,
  md5Of,
  ObjectMissing,
  ObjectUnreadable,
  type StorageReader,
  type StoredObject,
} from "../../storage/driver.ts";
import { readIntact, wantedOf } from "../verify/object-check.ts";
import type { Pace } from "./pace.ts";

export interface ObjectCopyOptions {
  readonly from: StorageReader;
  readonly to: Pick<Driver, "get" | "put">;
  readonly pace: Pace;
  /** Whether what was stored is read again. */
  readonly readBack: boolean;
}

/** What became of an object: `gone` where it was deleted since it was listed. */
export type Outcome =
  | { readonly kind: "copied"; readonly bytes: number }
  | { readonly kind: "gone" }
  | { readonly kind: "damaged" | "lost"; readonly what: string };

/** Throws `StorageUnavailable`, where it is not the object that fails. */
export async function copyObject(
  { from, to, pace, readBack }: ObjectCopyOptions,
  object: StoredObject,
): Promise<Outcome> {
  const { name, size, storedAt } = object;
  await pace.take(size);
  let body: Uint8Array;
  try {
    const [wanted] = wantedOf([object]);
    body = wanted === undefined ? await from.get(name, size) : await readIntact(from, wanted);
  } catch (error) {
    if (error instanceof ObjectMissing) return { kind: "gone" };
    if (error instanceof ObjectDamaged) return { kind: "damaged", what: error.fault };
    if (error instanceof ObjectUnreadable) return { kind: "damaged", what: "cannot be read" };
    throw error;
  }
  await to.put(name, body, { md5: md5Of(body), storedAt });
  if (readBack && !(await isStored(to, name, body))) {
    return { kind: "lost", what: "was stored, and reads otherwise" };
  }
  return { kind: "copied", bytes: body.byteLength };
}

async function isStored(to: Pick<Driver, "get">, name: string, body: Uint8Array): Promise<boolean> {
  try {
    return Buffer.compare(await to.get(name, body.byteLength), body) === 0;
  } catch (error) {
    if (error instanceof ObjectMissing || error instanceof ObjectUnreadable) return false;
    throw error;
  }
}
