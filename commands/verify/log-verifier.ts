/** Looks at the log of one user: what its listing shows, and what its objects hold. */
import { EntryReader } from "../../oplog/entries.ts";
import { Listing } from "../../oplog/listing.ts";
import { type Fingerprint, formatName } from "../../oplog/names.ts";
import { ObjectDamaged } from "../../oplog/object-cache.ts";
import type { Run, Span } from "../../oplog/sequence.ts";
import { ObjectMissing, type StorageReader, type StoredObject } from "../../storage/driver.ts";
import { listSettled } from "../settled-listing.ts";
import type { Finding } from "./findings.ts";
import { type Checked, checkEach, operationsText, readIntact, wantedOf } from "./object-check.ts";

/** Two payloads under one index of a client. */
export interface Fork extends Span {
  readonly client: string;
}

/** How often a log is listed anew while objects that it shows are gone: compaction goes on meanwhile. */
const LOOKS = 5;

export class LogVerifier {
  readonly #storage: StorageReader;
  readonly #isChosen: () => boolean;

  /** @param isChosen whether to read what is next, where only a sample is read */
  constructor(storage: StorageReader, isChosen: () => boolean) {
    this.#storage = storage;
    this.#isChosen = isChosen;
  }

  /** True where a listing shows what should not be there, or what a moment may explain. */
  async isSuspicious(user: Fingerprint, listing: Listing): Promise<boolean> {
    if (listing.unrecognized > 0) return true;
    if ([...listing.clients.values()].some(({ holes }) => holes.length > 0)) return true;
    return (await this.#forksIn(user, listing))?.length !== 0;
  }

  /**
   * Looks at a log again, and returns what is wrong with it still. What a server was storing, packing
   * or deleting at the first look is done by now, or shows as gone.
   *
   * @param listed what the first look has listed
   * @param faulty the names of the objects that were not whole then
   */
  async lookAgain(
    user: Fingerprint,
    listed: readonly StoredObject[],
    faulty: readonly string[],
  ): Promise<Finding[]> {
    const known = new Set(listed.map(({ name }) => name));
    let suspects = new Set(faulty);
    for (let look = 1; ; look++) {
      const { listing, objects } = await listSettled(this.#storage, user);
      if (listing.erasedAt !== undefined) return [];
      const wanted = wantedOf(objects.filter(({ name }) => suspects.has(name) || !known.has(name)));
      const checked: Checked[] = [];
      for await (const one of checkEach(this.#storage, wanted)) {
        known.add(one.wanted.text);
        if (one.fault !== undefined) checked.push(one);
      }
      const forks = await this.#forksIn(user, listing);
      const isMoving =
        forks === undefined || checked.some(({ fault }) => fault?.kind === "missing");
      if (!isMoving || look === LOOKS) {
        return [
          ...faultsIn(user, listing, checked),
          ...holesIn(user, listing),
          ...foreignIn(user, listing, objects),
          ...(forks ?? []).map((fork) => forkFinding(user, fork)),
        ];
      }
      suspects = new Set(checked.map(({ wanted }) => wanted.text));
    }
  }

  /** The forks of a log; `undefined` where an object that it needs is gone by now. */
  async #forksIn(user: Fingerprint, { clients }: Listing): Promise<Fork[] | undefined> {
    const reader = new EntryReader({
      read: (name) =>
        readIntact(this.#storage, { ...name, text: formatName(name), size: name.size ?? 0 }),
      onDamaged: () => undefined,
    });
    const forks: Fork[] = [];
    for (const [client, sequence] of clients) {
      for (const overlap of sequence.overlaps()) {
        // Names alone show it where each object holds one operation.
        if (overlap.first < overlap.last && !this.#isChosen()) continue;
        try {
          for (const { first, last, runs } of await reader.resolveOverlap(user, client, overlap)) {
            if (runs.length > 1) forks.push({ client, first, last });
          }
        } catch (error) {
          if (error instanceof ObjectMissing) return undefined;
          // It is reported by itself.
          if (!(error instanceof ObjectDamaged)) throw error;
        }
      }
    }
    return forks;
  }
}

function faultsIn(user: Fingerprint, listing: Listing, checked: readonly Checked[]): Finding[] {
  const faulty = new Map<string, Run[]>();
  for (const { wanted } of checked) {
    if (wanted.isSnapshot) continue;
    faulty.set(wanted.client, [...(faulty.get(wanted.client) ?? []), wanted]);
  }
  const others = listing.without(faulty);
  return checked.flatMap(({ wanted, fault }) => {
    if (fault === undefined) return [];
    const { client, first, last, isSnapshot, text: object } = wanted;
    // Others hold the same operations while a segment and what went into it are both stored.
    const isHeld =
      !isSnapshot && (others.clients.get(client)?.above(first - 1)?.last ?? -1) >= last;
    const operations = operationsText(user, client, first, last);
    const place = isSnapshot ? `the snapshot at ${operations}` : operations;
    const elsewhere = isHeld ? "; another object holds these operations, and nothing is lost" : "";
    const kind = fault.kind === "unchecked" ? "unchecked" : "damaged";
    const what = `${place}: the object ${object} ${fault.what}${elsewhere}`;
    return [{ kind, what, user, client, first, last, object } as const];
  });
}

function holesIn(user: Fingerprint, { clients }: Listing): Finding[] {
  return [...clients].flatMap(([client, { holes }]) =>
    holes.map(({ first, last }): Finding => {
      const what = `${operationsText(user, client, first, last)} ${first === last ? "is" : "are"} missing, and later ones are stored`;
      return { kind: "hole", what, user, client, first, last };
    }),
  );
}

function foreignIn(
  user: Fingerprint,
  { unrecognized }: Listing,
  objects: readonly StoredObject[],
): Finding[] {
  if (unrecognized === 0) return [];
  return objects
    .filter((object) => new Listing([object]).unrecognized > 0)
    .map(({ name }) => ({
      kind: "foreign",
      what: `the object ${name} of user ${user} is none of this server`,
      user,
      object: name,
    }));
}

function forkFinding(user: Fingerprint, { client, first, last }: Fork): Finding {
  const place = operationsText(user, client, first, last);
  return { kind: "fork", what: `${place}: more than one payload`, user, client, first, last };
}
