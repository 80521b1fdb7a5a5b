import type { Bytes } from "../protocol/bytes.ts";
import { entriesOf, type OwnEntries, type Page } from "./operation.ts";
import type { OwnClient, Place } from "./stores/store.ts";

/**
 * Reads the entries of an own client id from a place on, in order and in pieces.
 *
 * @param pages reads its operations from an index on
 * @param waiting the entries of its next operation at this moment
 */
export async function* ownEntries(
  own: OwnClient,
  from: Place,
  pages: (first: number) => Iterable<Page> | AsyncIterable<Page>,
  waiting: () => readonly Bytes[],
): AsyncGenerator<OwnEntries, void, void> {
  const { client } = own;
  let next = from;
  // What waits becomes an operation at any time.
  for (let before = -1; next.index < own.length && next.index > before; ) {
    before = next.index;
    for await (const page of pages(next.index)) {
      const { index, position } = next;
      const entries = entriesOf(page.operations).filter(
        (one) => one.index > index || (one.index === index && one.position >= position),
      );
      next = { index: page.next, position: 0 };
      yield { entries, next };
      // What was appended meanwhile may be at hand.
      break;
    }
  }
  if (next.index !== own.length) return;
  const { index, position: first } = next;
  const entries = waiting()
    .slice(first)
    // Copies: an app may change what it gets, and these are still to be sealed.
    .map((data, i) => ({ client, index, position: first + i, data: data.slice() }));
  if (entries.length > 0) yield { entries, next: { index, position: first + entries.length } };
}
