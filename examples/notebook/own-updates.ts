/** What this device has appended to the log, in order: what of it is not sent yet. */
import type { DocumentUpdate } from "../../client/documents.ts";
import type { ClientChange, Created, OperationName } from "../../client/index.ts";

interface OwnUpdate {
  readonly name: string;
  readonly entry: Created;
}

export class OwnUpdates {
  /** Each once, in the order of their creation. */
  #updates: OwnUpdate[] = [];
  #known = new Set<string>();

  /** Adds updates that were appended here, in the order of their creation. */
  add(updates: readonly DocumentUpdate[]): void {
    for (const { name, entry } of updates) {
      if (entry === undefined || this.#known.has(keyOf(entry))) continue;
      const { client, index, position } = entry;
      this.#known.add(keyOf(entry));
      this.#updates.push({ name, entry: { client, index, position } });
    }
  }

  /** Entries have other names from now on. */
  change(change: ClientChange): void {
    this.#updates = this.#updates.map(({ name, entry }) => ({
      name,
      entry: movedBy(entry, change),
    }));
    this.#known = new Set(this.#updates.map(({ entry }) => keyOf(entry)));
  }

  /** The index of the newest operation under a client id, if there is one. */
  newest(client: string): number | undefined {
    return this.#updates.findLast(({ entry }) => entry.client === client)?.entry.index;
  }

  /** The names of the documents in operations. */
  namesIn(operations: readonly OperationName[]): Set<string> {
    return new Set(this.#in(operations).map(({ name }) => name));
  }

  /**
   * The names of the documents of which something waits to be sent.
   *
   * @param count how many entries are not acknowledged: the newest ones
   * @param tooLarge operations among them that the server does not take, wherever they are: not counted
   */
  waiting(count: number, tooLarge: readonly OperationName[]): Set<string> {
    const aside = new Set(this.#in(tooLarge));
    const names = new Set<string>();
    let left = count - aside.size;
    for (let at = this.#updates.length - 1; at >= 0 && left > 0; at--) {
      const update = this.#updates[at];
      if (update === undefined || aside.has(update)) continue;
      names.add(update.name);
      left--;
    }
    return names;
  }

  #in(operations: readonly OperationName[]): OwnUpdate[] {
    const wanted = new Set(operations.map(operationKey));
    if (wanted.size === 0) return [];
    return this.#updates.filter(({ entry }) => wanted.has(operationKey(entry)));
  }
}

function movedBy(place: Created, { from, to, first }: ClientChange): Created {
  const isMoved = place.client === from && place.index >= first;
  return isMoved ? { ...place, client: to, index: place.index - first } : place;
}

function keyOf({ client, index, position }: Created): string {
  return `${client} ${index} ${position}`;
}

function operationKey({ client, index }: OperationName): string {
  return `${client} ${index}`;
}
