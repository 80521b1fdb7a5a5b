/**
 * Looks at a storage by storing, reading, listing and deleting an object, again and again: for `doctor`,
 * and for the status page.
 */
import { randomUUID } from "node:crypto";
import { MAX_CLOCK_SKEW_SECONDS } from "../../protocol/signature.ts";
import { type Driver, md5Of, ObjectMissing, StorageUnavailable } from "../../storage/driver.ts";
import { bytesText } from "../format.ts";
import type { CheckOf } from "./check.ts";
import { lacksOf } from "./room.ts";
import type { StorageTopic } from "./storage-changes.ts";

export type StorageCheck = CheckOf<StorageTopic>;

const ROUNDS = 10;
/** Of an operation, roughly. */
const BODY = new Uint8Array(300).fill(120);

/** What a call may take at the median, in milliseconds, before somebody should know. */
const SLOW = { put: 250, get: 100, list: 250, delete: 250 };

/** What of a driver is looked at. */
export type StorageToCheck = Pick<Driver, "list" | "get" | "put" | "delete" | "clockOffset">;

type Kind = keyof typeof SLOW;
const KINDS = ["put", "list", "get", "delete"] as const satisfies readonly Kind[];

/** How far clocks may be apart before somebody should know, and before signatures are refused. */
const CLOCK_NOTE_MS = 30_000;
const CLOCK_WRONG_MS = MAX_CLOCK_SKEW_SECONDS * 1000;

/**
 * It leaves nothing in the storage, unless that cannot delete.
 *
 * @param signal ends it after the object that is being looked at, with nothing to say
 */
export async function* checkStorage(
  storage: StorageToCheck,
  signal?: AbortSignal,
): AsyncGenerator<StorageCheck, void, void> {
  const times: Record<Kind, number[]> = { put: [], get: [], list: [], delete: [] };
  const faults: string[] = [];
  const timed = async <Result>(kind: Kind, work: () => Promise<Result>): Promise<Result> => {
    const began = performance.now();
    try {
      return await work();
    } catch (error) {
      if (error instanceof StorageUnavailable) throw new Refused(kind, error);
      throw error;
    } finally {
      times[kind].push(performance.now() - began);
    }
  };
  try {
    for (let round = 0; round < ROUNDS; round++) {
      if (signal?.aborted === true) return;
      const name = `doctor.${randomUUID()}`;
      await timed("put", () => storage.put(name, BODY, { md5: md5Of(BODY) }));
      try {
        const listed = await timed("list", () => storage.list(name));
        if (listed[0]?.size !== BODY.byteLength)
          faults.push("an object that was stored is not listed");
        const body = await timed("get", () => read(storage, name));
        if (body === undefined) faults.push("an object that was stored is not there");
        else if (Buffer.compare(body, BODY) !== 0)
          faults.push("an object reads otherwise than it was stored");
      } finally {
        await timed("delete", () => storage.delete(name));
      }
      if ((await storage.list(name)).length > 0)
        faults.push("an object that was deleted is listed");
      if ((await read(storage, name)) !== undefined)
        faults.push("an object that was deleted is there");
    }
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    yield { topic: "storage", level: "wrong", what: `${error.kind}: ${error.message}` };
    return;
  }
  yield { topic: "storage", level: "ok", what: "it stores, lists, reads and deletes" };
  yield faults.length === 0
    ? {
        topic: "consistency",
        level: "ok",
        what: `what was stored is there, and is listed, at once, ${ROUNDS} times of ${ROUNDS}`,
      }
    : { topic: "consistency", level: "wrong", what: [...new Set(faults)].join("; ") };
  const clock = clockOf(storage);
  if (clock !== undefined) yield clock;
  for (const kind of KINDS) {
    const [median, most] = [percentile(times[kind], 0.5), percentile(times[kind], 0.95)];
    const durable = kind === "put" ? ", durably," : "";
    yield {
      topic: "slow",
      level: median > SLOW[kind] ? "note" : "ok",
      what: `a ${kind}${durable} takes ${median.toFixed(1)} ms at the median, ${most.toFixed(1)} ms at 95%`,
      measured: { median_ms: median, p95_ms: most },
    };
  }
}

/** How far apart the clocks of a storage and of this machine are; `undefined` where it has none of its own. */
function clockOf(storage: StorageToCheck): StorageCheck | undefined {
  const offset = storage.clockOffset?.();
  if (offset === undefined) return undefined;
  const apart = Math.abs(offset);
  const seconds = Math.round(apart / 1000);
  return {
    topic: "clock",
    level: apart >= CLOCK_WRONG_MS ? "wrong" : apart > CLOCK_NOTE_MS ? "note" : "ok",
    what: `this machine's is ${seconds} s ${offset > 0 ? "behind" : "ahead of"} that of the storage`,
    measured: { offset_ms: offset },
  };
}

/** Whether there is room in the file system; nothing where none bounds the storage. */
export async function* checkRoom({
  room,
}: Pick<Driver, "room">): AsyncGenerator<StorageCheck, void, void> {
  if (room === undefined) return;
  const now = await room();
  const lacks = lacksOf(now);
  for (const what of lacks) yield { topic: "room", level: "wrong", what };
  if (lacks.length > 0) return;
  const { free, size } = now;
  yield { topic: "room", level: "ok", what: `${bytesText(free)} of ${bytesText(size)} are free` };
}

class Refused extends Error {
  readonly kind: Kind;
  constructor(kind: Kind, cause: StorageUnavailable) {
    super(cause.message, { cause });
    this.kind = kind;
  }
}

async function read(storage: StorageToCheck, name: string): Promise<Uint8Array | undefined> {
  try {
    return await storage.get(name);
  } catch (error) {
    if (error instanceof ObjectMissing) return undefined;
    throw error;
  }
}

function percentile(times: readonly number[], part: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}
