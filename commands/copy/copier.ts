/** Copies a storage part by part, while servers use it. */
import { Listing } from "../../oplog/listing.ts";
import { holesIn } from "../../oplog/listing-load.ts";
import { isFingerprint, parseName } from "../../oplog/names.ts";
import { prefetch } from "../../oplog/prefetch.ts";
import { forEachLimited } from "../../oplog/workers.ts";
import {
  type Driver,
  isName,
  type StorageReader,
  type StoredObject,
} from "../../storage/driver.ts";
import { partsOf } from "../parts.ts";
import { listSettled } from "../settled-listing.ts";
import { operationsText } from "../verify/object-check.ts";
import { Contents, NOBODY, ownerOf } from "./contents.ts";
import type { Finding } from "./findings.ts";
import { copyObject, type Outcome } from "./object-copy.ts";
import type { Pace } from "./pace.ts";
import { isErased, type Plan, planOf, RANKS, rankOf } from "./plan.ts";

export interface CopierOptions {
  readonly from: StorageReader;
  readonly to: Driver;
  /** An earlier copy: what it has is not copied. */
  readonly since?: StorageReader | undefined;
  /** A fingerprint, or how those of some users begin; "" for the whole storage. */
  readonly user: string;
  /** How many objects are copied at once. */
  readonly parallel: number;
  readonly pace: Pace;
  /** Whether what was stored is read again. */
  readonly readBack: boolean;
  readonly onFinding: (finding: Finding) => Promise<void>;
}

/** How many bytes of objects are in memory at once. */
const MAX_BYTES = 64 * 1024 * 1024;

/** How often an object may be gone, and be listed again after that: it may have been stored anew. */
const LOOKS = 3;

/** What is listed of users, by their fingerprints. */
type Logs = ReadonlyMap<string, readonly StoredObject[]>;

/**
 * An operation that was acknowledged before a list is in an object that the list shows, or in one that
 * a later list shows. So a user is copied once every object of one list was read; where one is gone,
 * packed or deleted meanwhile, the user is listed anew. How long packed objects stay does not matter.
 */
export class Copier {
  readonly counts = {
    users: 0,
    objects: 0,
    bytes: 0,
    /** Objects that needed no copy. */
    present: 0,
    /** Users whose tombstones are all that is kept. */
    erased: 0,
    /** Objects that were deleted, of these users. */
    deleted: 0,
    /** Users who were erased where they would be copied to. */
    leftOut: 0,
    /** Names that no storage takes. */
    unnamed: 0,
  };
  /** How much of the storage is done: from 0 to 1. */
  done = 0;
  readonly #options: CopierOptions;

  constructor(options: CopierOptions) {
    this.#options = options;
  }

  /** Throws `StorageUnavailable`; what was copied by then need not be copied again. */
  async run(): Promise<void> {
    const { from, to, since, user } = this.#options;
    for await (const { prefix, users, foreign, before } of partsOf(from, user)) {
      this.done = before;
      if (users.size + foreign.length === 0) continue;
      const there = await Contents.list(to, prefix);
      const past = since === undefined ? new Contents() : await Contents.list(since, prefix);
      const named = foreign.filter(({ name }) => isName(name));
      this.counts.unnamed += foreign.length - named.length;
      this.counts.users += users.size;
      const logs: Logs = new Map([...users, [NOBODY, named]]);
      await this.#copyPart(prefix, await this.#settled(logs), { there, past });
    }
  }

  async #copyPart(
    prefix: string,
    logs: Logs,
    { there, past }: { readonly there: Contents; readonly past: Contents },
  ): Promise<void> {
    const written = new Map<string, number>();
    const misses = new Map<string, number>();
    for (let pending = logs; pending.size > 0; ) {
      const plans = new Map<string, Plan>();
      for (const [user, from] of pending) {
        const plan = planOf({ from, to: there.of(user), since: past.of(user) });
        plans.set(user, plan);
        if (pending === logs) this.counts.present += plan.present;
      }
      const again = new Set<string>();
      for (const rank of RANKS) {
        for await (const { object, outcome } of this.#copyEach(plans.values(), rank)) {
          const { name } = object;
          const count = misses.get(name) ?? 0;
          if (outcome.kind === "copied") {
            there.add(name, outcome.bytes);
            written.set(name, outcome.bytes);
            this.counts.objects++;
            this.counts.bytes += outcome.bytes;
          } else if (outcome.kind === "gone" && count < LOOKS) {
            misses.set(name, count + 1);
            again.add(ownerOf(name));
          } else await this.#options.onFinding(findingOf(name, outcome));
        }
      }
      for (const [user, plan] of plans) await this.#end(user, plan, { there, written });
      pending = await this.#listAgain(again);
    }
    if (written.size > 0) await this.#check(prefix, written);
  }

  /** Lists of users, of which those that show holes are taken anew: they may have come too early. */
  async #settled(logs: Logs): Promise<Logs> {
    const settled = new Map<string, readonly StoredObject[]>();
    for (const [user, objects] of logs) {
      const hasHoles = holesIn(await Listing.inSlices(objects)) !== undefined;
      if (hasHoles && isFingerprint(user)) {
        settled.set(user, (await listSettled(this.#options.from, user)).objects);
      } else settled.set(user, objects);
    }
    return settled;
  }

  async #listAgain(users: ReadonlySet<string>): Promise<Logs> {
    const logs = new Map<string, readonly StoredObject[]>();
    for (const user of users) {
      // Nobody packs what is no user's: it was deleted.
      if (!isFingerprint(user)) continue;
      logs.set(user, (await listSettled(this.#options.from, user)).objects);
    }
    return logs;
  }

  #copyEach(
    plans: Iterable<Plan>,
    rank: number,
  ): AsyncGenerator<{ object: StoredObject; outcome: Outcome }, void, void> {
    const { parallel, ...options } = this.#options;
    return prefetch(objectsOf(plans, rank), {
      read: async (object) => ({ object, outcome: await copyObject(options, object) }),
      bytes: ({ size }) => size,
      maxItems: parallel,
      maxBytes: MAX_BYTES,
    });
  }

  /** Deletes what is left of a user whose tombstone is there by now. */
  async #end(
    user: string,
    { kind, deletes }: Plan,
    { there, written }: { readonly there: Contents; readonly written: Map<string, number> },
  ): Promise<void> {
    const { to, parallel } = this.#options;
    if (kind === "left out") this.counts.leftOut++;
    if (kind !== "erased" || !isErased(there.of(user))) return;
    this.counts.erased++;
    await forEachLimited(deletes, parallel, async (name) => {
      await to.delete(name);
      there.remove(name);
      written.delete(name);
      this.counts.deleted++;
    });
  }

  /** Whether a list shows what was written. */
  async #check(prefix: string, written: ReadonlyMap<string, number>): Promise<void> {
    const { to, onFinding } = this.#options;
    const now = await Contents.list(to, prefix);
    for (const [name, size] of written) {
      const sizes = now.of(ownerOf(name));
      if (sizes.get(name) === size) continue;
      const what = sizes.has(name) ? "is listed with another size" : "is not listed";
      await onFinding(findingOf(name, { kind: "lost", what: `was stored, and ${what}` }));
    }
  }
}

function* objectsOf(plans: Iterable<Plan>, rank: number): Generator<StoredObject, void, void> {
  for (const { puts } of plans) {
    for (const object of puts) if (rankOf(object.name) === rank) yield object;
  }
}

function findingOf(name: string, outcome: Exclude<Outcome, { kind: "copied" }>): Finding {
  const [kind, what] =
    outcome.kind === "gone"
      ? (["missing", "is listed, and is not there"] as const)
      : ([outcome.kind, outcome.what] as const);
  const parts = parseName(name);
  if (parts === undefined) return { kind, what: `the object ${name} ${what}`, object: name };
  const { user, client, first, last } = parts;
  const operations = operationsText(user, client, first, last);
  return {
    kind,
    what: `${operations}: the object ${name} ${what}`,
    user,
    client,
    first,
    last,
    object: name,
  };
}
