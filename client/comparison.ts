/** Compares the heads that other devices and snapshots name with what this device has. */
import { StoreDamaged } from "./errors.ts";
import type { Heads } from "./heads.ts";
import type { Covered, Operation, VerifiedRun } from "./operation.ts";
import type { OwnHistory } from "./own-history.ts";
import { lastOf, type Positions } from "./positions.ts";
import type { ReceivedLog } from "./received-log.ts";
import type { Refusals } from "./refusals.ts";
import type { Head } from "./types.ts";

/** What a comparison works with. */
export interface ComparisonOptions {
  readonly positions: Positions;
  readonly heads: Heads;
  readonly refusals: Refusals;
  readonly log: ReceivedLog;
  readonly outbox: OwnHistory;
}

export class Comparison {
  readonly #options: ComparisonOptions;

  constructor(options: ComparisonOptions) {
    this.#options = options;
  }

  /**
   * Compares the heads in operations, and the heads that name these operations, with what is here.
   *
   * @returns the heads that are not here
   */
  async compare(client: string, { operations, tagOf, cursor }: VerifiedRun): Promise<Head[]> {
    const { heads, positions, refusals } = this.#options;
    const first = lastOf(positions.get(client)) + 1;
    for (const { index, tag, by } of heads.expected(client)) {
      const isHere = index >= first && index <= lastOf(cursor);
      if (isHere && tagOf(index) !== tag) refusals.addFork({ kind: "fork", client, index, by });
    }
    for (const { client: other, index, tag } of operations.flatMap(headsOf)) {
      const known = await this.tagAt(other, index);
      if (known !== undefined && known !== tag) {
        refusals.addFork({ kind: "fork", client: other, index, by: client });
      }
    }
    return heads.hear(client, operations);
  }

  /**
   * The tag of an operation that is here, and that the server has acknowledged or sent; `undefined` also if
   * it is damaged in the store.
   */
  async tagAt(client: string, index: number): Promise<string | undefined> {
    const { log, outbox, positions } = this.#options;
    try {
      const own = await outbox.acknowledgedTag(client, index);
      if (own !== undefined) return own;
      const position = positions.get(client);
      if (position === undefined || index > position.index) return undefined;
      return index === position.index ? position.tag : await log.tagAt(client, index);
    } catch (error) {
      if (error instanceof StoreDamaged) return undefined;
      throw error;
    }
  }

  /** Whether a snapshot names another tag for an operation than this device has, or another one reports. */
  async differs(by: string, covered: Covered): Promise<boolean> {
    const { heads, outbox, refusals } = this.#options;
    let differs = false;
    for (const { client, index, tag } of covered.values()) {
      const own = await outbox.tagAt(client, index);
      // An operation that was not acknowledged is not a fork: it goes on under another client id.
      differs ||= (own ?? tag) !== tag;
      const known = await this.tagAt(client, index);
      const told = heads.expected(client);
      const isTold = told.some((one) => one.index === index && one.tag !== tag);
      if (!isTold && (known ?? tag) === tag) continue;
      differs = true;
      refusals.addFork({ kind: "fork", client, index, by });
    }
    return differs;
  }
}

function headsOf({ content }: Operation): readonly Head[] {
  return content.heads ?? [];
}
