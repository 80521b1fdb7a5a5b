/** What must be true of the answers, by what clients learned before. */
import assert from "node:assert/strict";
import type { Fingerprint } from "../../../oplog/names.ts";
import type { Operation } from "../http.ts";
import type { SimulatedProcess } from "./process.ts";

/** When, and by which process, a client learned something. */
interface Proof {
  readonly process: SimulatedProcess;
  readonly at: number;
}

export interface ModelTime {
  readonly now: () => number;
  /** Whether a process has to show by now what another one stored at a time. */
  readonly isKnown: (at: number) => boolean;
}

/** What is known of one user. */
export class UserModel {
  readonly user: Fingerprint;
  readonly #time: ModelTime;
  /** Every payload that was ever sent, by client and index. */
  readonly #sent = new Map<string, Set<string>>();
  /** Operations that were acknowledged or delivered, with their proofs. */
  readonly #stored = new Map<string, { readonly operation: Operation; readonly proofs: Proof[] }>();
  readonly #acknowledged = new Map<string, Operation>();
  readonly #locked: Proof[] = [];
  readonly #erased: Proof[] = [];
  /** True once a signed request was sent. */
  mayBeLocked = false;
  /** True once an erasure was asked for. */
  mayBeErased = false;
  /** The clients, and the bytes of the payloads, that were acknowledged. */
  readonly clients = new Set<string>();
  bytes = 0;

  constructor(user: Fingerprint, time: ModelTime) {
    this.user = user;
    this.#time = time;
  }

  /** Notes that operations are on their way. */
  sent(operations: readonly Operation[]): void {
    for (const operation of operations) {
      const place = placeOf(operation);
      const payloads = this.#sent.get(place) ?? new Set();
      this.#sent.set(place, payloads.add(operation.payload));
    }
  }

  /** Notes that operations were acknowledged. */
  acknowledged(process: SimulatedProcess, operations: readonly Operation[]): void {
    for (const operation of operations) {
      const key = keyOf(operation);
      if (!this.#acknowledged.has(key)) {
        this.#acknowledged.set(key, operation);
        this.clients.add(operation.client_id);
        this.bytes += Buffer.byteLength(operation.payload);
      }
    }
    this.#prove(process, operations);
  }

  /** Notes that a signed request was answered. */
  locked(process: SimulatedProcess): void {
    this.#locked.push({ process, at: this.#time.now() });
  }

  /** Notes that an erasure was answered. */
  erased(process: SimulatedProcess): void {
    this.#erased.push({ process, at: this.#time.now() });
  }

  /** True when a process that is asked now has to know that the user was erased. */
  isErasedFor(process: SimulatedProcess): boolean {
    return this.#erased.some((proof) => this.#isKnownTo(process, proof));
  }

  /** True when a process that is asked now has to know that the user has signed. */
  isLockedFor(process: SimulatedProcess): boolean {
    return this.#locked.some((proof) => this.#isKnownTo(process, proof));
  }

  /** All operations that were acknowledged, by any process. */
  allAcknowledged(): Operation[] {
    return [...this.#acknowledged.values()];
  }

  /** The operations that a process has to deliver to a request that it is sent now. */
  dueFrom(process: SimulatedProcess): Operation[] {
    return [...this.#stored.values()]
      .filter(({ proofs }) => proofs.some((proof) => this.#isKnownTo(process, proof)))
      .map(({ operation }) => operation);
  }

  /**
   * Checks a complete answer to a sync status.
   *
   * @param due what has to be in it, where it is above the sync status
   */
  delivered(
    process: SimulatedProcess,
    operations: readonly Operation[],
    syncStatus: ReadonlyMap<string, number>,
    due: readonly Operation[],
  ): void {
    const seen = new Set<string>();
    const ends = new Map(syncStatus);
    for (const operation of operations) {
      const { client_id, operation_index, payload } = operation;
      assert.ok(this.#sent.get(placeOf(operation))?.has(payload), "no device sent this operation");
      assert.ok(!seen.has(keyOf(operation)), "an operation came twice");
      seen.add(keyOf(operation));
      const known = syncStatus.get(client_id) ?? -1;
      const end = ends.get(client_id) ?? -1;
      const isFork = operation_index === end && operation_index > known;
      assert.ok(isFork || operation_index === end + 1, "a hole, or another order");
      ends.set(client_id, operation_index);
    }
    if (!this.mayBeErased) {
      for (const operation of due) {
        if (operation.operation_index <= (syncStatus.get(operation.client_id) ?? -1)) continue;
        assert.ok(seen.has(keyOf(operation)), `withheld: ${keyOf(operation)}`);
      }
    }
    this.#prove(process, operations);
  }

  #prove(process: SimulatedProcess, operations: readonly Operation[]): void {
    const proof = { process, at: this.#time.now() };
    for (const operation of operations) {
      const key = keyOf(operation);
      const stored = this.#stored.get(key) ?? { operation, proofs: [] };
      this.#stored.set(key, stored);
      if (!stored.proofs.some((known) => known.process === process)) stored.proofs.push(proof);
    }
  }

  /** A process knows what it has answered, and learns in time what others have answered. */
  #isKnownTo(process: SimulatedProcess, proof: Proof): boolean {
    return (
      proof.process === process || proof.at <= process.startedAt || this.#time.isKnown(proof.at)
    );
  }
}

function placeOf({ client_id, operation_index }: Operation): string {
  return `${client_id}.${operation_index}`;
}

function keyOf(operation: Operation): string {
  return `${placeOf(operation)}.${operation.payload}`;
}
