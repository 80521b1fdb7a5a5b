/**
 * What a client does when the server does not store an append, and when its client id turns out to
 * be in use twice: by a copy of this installation, or by this installation before it was restored
 * from a backup. PROTOCOL.md lists the problems; `state.ts` holds the decisions.
 */

import { isOperationIndex } from "../protocol/ids.ts";
import type { Line } from "../protocol/types.ts";
import type { Delivery } from "./delivery.ts";
import { isSnapshot } from "./envelope.ts";
import { type ServerError, ServerRejected, ServerUnavailable } from "./errors.ts";
import type { SyncOptions } from "./options.ts";
import type { Append, Outbox } from "./outbox.ts";
import { lastOf } from "./positions.ts";
import type { Refusals } from "./refusals.ts";
import { conflictRemedy, type Divergence, type SyncEvent, type SyncState } from "./state.ts";
import type { OwnClient } from "./stores/store.ts";
import type { Transport } from "./transport.ts";
import type { Clock } from "./types.ts";
import type { RunVerifier } from "./verify.ts";
import type { Writes } from "./writes.ts";

/** What a recovery works with. */
export interface RecoveryOptions {
  readonly transport: Transport;
  readonly verifier: RunVerifier;
  /** The outbox of this installation, not one of an abandoned store. */
  readonly outbox: Outbox;
  readonly refusals: Refusals;
  readonly delivery: Delivery;
  readonly writes: Writes;
  readonly clock: Clock;
  readonly app: Pick<SyncOptions, "onClientChange">;
  readonly sending: { dispatch(event: SyncEvent): void };
  readonly inbox: { versionVector(own: readonly OwnClient[]): Record<string, number> };
  readonly maker: { postpone(): void };
  readonly snapshots: { countOwn(outbox: Outbox, client: string): Promise<number> };
  /** Reads what is new, without sending anything. */
  readonly read: (signal: AbortSignal) => Promise<unknown>;
  /** Records as delivered what is own and has another client id now. */
  readonly markDelivered: () => Promise<void>;
}

/** A server that refuses every operation as too large is not given one client id after the other. */
const MAX_TOO_LARGE = 32;

/** A server that shows operations without end in one place is not listened to. */
const MAX_RIVALS = 16;

/** Decides and does what follows when the server refuses a batch. */
export class Recovery {
  readonly #options: RecoveryOptions;

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /** Makes the next round send something else. Throws the error where that would not help. */
  async recover(
    state: SyncState,
    append: Append,
    error: unknown,
    signal: AbortSignal,
  ): Promise<void> {
    if (!(error instanceof ServerRejected || error instanceof ServerUnavailable)) throw error;
    const { maker, sending } = this.#options;
    const { outbox, batch } = append;
    const { client, first, payloads } = batch;
    switch (error.code) {
      case "request-timeout":
        // The body came too slowly. The round has failed, and the next one carries less.
        sending.dispatch({ type: "batch-too-large", payloads });
        throw error;
      case "body-too-large":
        if (payloads.length > 1) return sending.dispatch({ type: "batch-too-large", payloads });
        return this.#stepOver(state, append, error);
      case "quota-exceeded":
        // What is appended later may have room.
        if (payloads.some(isSnapshot)) return this.#stepOver(state, append, error);
        return this.#hold(error);
      case "operation-gap": {
        // The server has lost operations. Each gap goes further back, so there is an end to them.
        const next = indexIn(error, "next_index", 0, first);
        if (next === undefined) throw error;
        return outbox.acknowledge(client, next);
      }
      case "snapshot-refused":
        // The server has lost something, or deleted what the snapshot does not stand for.
        maker.postpone();
        return outbox.sendPlain(batch);
      case "operation-trimmed":
        return this.#passTrimmed(append, error, signal);
      case "operation-conflict": {
        const index = indexIn(error, "operation_index", first, first + payloads.length);
        if (index === undefined) throw error;
        return this.#resolveConflict(state, append, index, error, signal);
      }
      default:
        throw error;
    }
  }

  /** Reading goes on; appends wait. */
  #hold(error: ServerError): void {
    this.#options.sending.dispatch({
      type: "batch-refused",
      error,
      now: this.#options.clock.now(),
    });
  }

  /** Leaves an operation where it is, as the last one of its client id: the others go on under a new one. */
  async #stepOver(
    state: SyncState,
    { outbox, batch: { client, first, payloads } }: Append,
    error: ServerError,
  ): Promise<void> {
    const { clock, maker, sending } = this.#options;
    const hasMore = outbox.own.some((own) => own.client === client && own.length > first + 1);
    const isInUse = outbox === this.#options.outbox && outbox.client === client;
    const moves = hasMore || isInUse;
    const mayMove = !moves || (await outbox.mayContinue(client, first + 1));
    if (!mayMove || state.tooLarge.size >= MAX_TOO_LARGE) return this.#hold(error);
    const isLeftOut = payloads.some(isSnapshot);
    if (isLeftOut) maker.postpone();
    sending.dispatch({ type: "operation-too-large", client, error, isLeftOut, now: clock.now() });
    if (moves) await this.#changeClient(outbox, client, first + 1, true);
  }

  /**
   * The server had operations of a client id up to an index, and has deleted them: snapshots stand for
   * them. They need not be those that are here, unless each was acknowledged or a snapshot names its tag:
   * the client id can be in use twice. What is left goes on under a new one, which says what it stands for.
   */
  async #passTrimmed(
    { outbox, batch: { client, first } }: Append,
    error: ServerError,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, read, sending, snapshots } = this.#options;
    const next = indexIn(error, "next_index", first + 1, Infinity);
    const own = outbox.own.find((one) => one.client === client);
    if (next === undefined || own === undefined) throw error;
    const { length, highWater } = own;
    const isUsedElsewhere = next > length && client === outbox.client;
    const end = Math.min(next, length);
    let known = highWater;
    if (known < end) {
      await read(signal);
      // It has another client id now, if the snapshot that came stands for what is not here.
      if (own.length < length) return;
      known = Math.max(known, await snapshots.countOwn(outbox, client));
    }
    if (known >= end && !isUsedElsewhere) {
      await outbox.acknowledge(client, end);
      return sending.dispatch({ type: "batch-stored", client, now: clock.now() });
    }
    if (!(await outbox.mayContinue(client, known))) return this.#hold(error);
    return this.#changeClient(outbox, client, known, true);
  }

  async #resolveConflict(
    state: SyncState,
    { outbox, batch: { client } }: Append,
    index: number,
    error: ServerError,
    signal: AbortSignal,
  ): Promise<void> {
    const divergence = await this.#findDivergence(outbox, client, index, signal);
    // The next round sends it again, and knows more.
    if (divergence === undefined) return;
    const mayContinue = await outbox.mayContinue(client, index);
    const remedy = conflictRemedy(state, client, divergence, mayContinue);
    if (remedy === "hold") return this.#hold(error);
    if (remedy === "rewind") {
      this.#options.sending.dispatch({ type: "client-rewound", client });
      return outbox.acknowledge(client, 0);
    }
    return this.#changeClient(outbox, client, index, remedy === "continue");
  }

  /**
   * Reads what the server has in the place of an own operation, and verifies it. The one before it is
   * read as well: only if that is our own, the other can be opened.
   */
  async #findDivergence(
    outbox: Outbox,
    client: string,
    index: number,
    signal: AbortSignal,
  ): Promise<Divergence | undefined> {
    const { verifier, read } = this.#options;
    let found = await this.#linesUpTo(index, client, index - 2, signal);
    // The one before it may be deleted, and cannot be compared.
    const isAlone = found === undefined;
    found ??= await this.#linesUpTo(index, client, index - 1, signal);
    if (found === undefined) {
      // Others' operations are deleted that this device lacks: it has to take a snapshot first.
      await read(signal);
      return undefined;
    }
    if (found.length > MAX_RIVALS) return "unproven";
    const rivals = found.filter((line) => line.index === index);
    const predecessors = found.filter((line) => line.index === index - 1);
    if (rivals.length === 0 || (await hasAny(outbox, rivals))) return "unproven";
    if (index > 0 && !isAlone && !(await hasAny(outbox, predecessors))) {
      return predecessors.length === 0 ? "unproven" : "earlier";
    }
    const before = await outbox.cursorAt(client, index - 1);
    for (const line of rivals) {
      const { refusal } = await verifier.verify(client, [line], before);
      if (refusal === undefined) return "here";
    }
    return isAlone ? "unproven" : "replaced";
  }

  /**
   * The operations of a client that the server has up to an index, behind another one; `undefined` where
   * operations are deleted that this device lacks.
   */
  async #linesUpTo(
    index: number,
    client: string,
    after: number,
    signal: AbortSignal,
  ): Promise<Line[] | undefined> {
    const { inbox, outbox } = this.#options;
    const { [client]: _, ...status } = inbox.versionVector(outbox.own);
    if (after >= 0) status[client] = after;
    const request = { client, first: undefined, payloads: [], status };
    const found: Line[] = [];
    let isComplete = false;
    try {
      for await (const lines of this.#options.transport.sync(request, signal)) {
        for (const line of lines) {
          if (line.client === client && line.index <= index) found.push(line);
          // The lines of a client follow each other. Those of another one can also come before them.
          else isComplete ||= found.length > 0;
        }
        if (isComplete || found.length > MAX_RIVALS) break;
      }
    } catch (error) {
      if (error instanceof ServerRejected && error.code === "snapshot-required") return undefined;
      throw error;
    }
    return found;
  }

  /** Gives up an own client id under which another installation has created operations. */
  async giveUp(client: string): Promise<void> {
    const { outbox, sending } = this.#options;
    const first = outbox.own.find((one) => one.client === client)?.acknowledged ?? 0;
    await this.#changeClient(outbox, client, first, await outbox.mayContinue(client, first));
    // What was too large in its place is elsewhere now.
    sending.dispatch({ type: "operation-dropped", client });
  }

  /**
   * Handles an operation that the server sends under the client id in use, and that this
   * installation did not know the server to have. If the user made it, another installation has
   * the same client id.
   */
  async ownLine(line: Line): Promise<void> {
    const { outbox, refusals, verifier, writes } = this.#options;
    const { client, index } = line;
    // Another tab may have sent it just now.
    if ((await writes.refresh()) && (await outbox.has(line))) return;
    const before = await outbox.acknowledgedCursor(client);
    const { refusal } = await verifier.verify(client, [line], before);
    if (refusal !== undefined || (await outbox.has(line))) {
      return refusals.suspend(refusal ?? { kind: "out of place", client, index });
    }
    await this.#changeClient(outbox, client, lastOf(before) + 1, false);
  }

  /** Moves the operations from an index on to a new client id, which may continue the old one. */
  async #changeClient(
    outbox: Outbox,
    client: string,
    first: number,
    continuing: boolean,
  ): Promise<void> {
    const change = await outbox.changeClient(client, first, continuing);
    const { outbox: own, delivery, markDelivered } = this.#options;
    await markDelivered();
    // Own entries are delivered under their old names up to there.
    if (outbox === own) await delivery.own();
    else this.#options.app.onClientChange?.(change);
  }
}

/** Whether one of the lines is the operation that was created in its place. */
async function hasAny(outbox: Outbox, lines: readonly Line[]): Promise<boolean> {
  for (const line of lines) if (await outbox.has(line)) return true;
  return false;
}

/** An index in a problem document, if it is one from `from` up to and without `end`. */
function indexIn(
  error: ServerError,
  member: string,
  from: number,
  end: number,
): number | undefined {
  const value = error instanceof ServerRejected ? error.members[member] : undefined;
  return isOperationIndex(value) && value >= from && value < end ? value : undefined;
}
