/** The state of all documents, as a snapshot carries it: docs/documents.md has the format. */
import { type Bytes, join } from "../../protocol/bytes.ts";
import { type NamedUpdate, updateOf } from "./entry.ts";

/** The first byte, as that of an entry. */
const FORMAT = 0xf8;
const LENGTH_BYTES = 4;

/** The state that entries make up. */
export function stateOf(entries: readonly Bytes[]): Bytes {
  const parts = entries.flatMap((entry) => {
    const length = new Uint8Array(LENGTH_BYTES);
    new DataView(length.buffer).setUint32(0, entry.length);
    return [length, entry];
  });
  return join([Uint8Array.of(FORMAT), ...parts]);
}

/** The updates in a state, in order. Throws a `TypeError` for one of another format. */
export function updatesIn(state: Bytes): NamedUpdate[] {
  const updates: NamedUpdate[] = [];
  const view = new DataView(state.buffer, state.byteOffset, state.byteLength);
  let at = 1;
  while (state[0] === FORMAT && at + LENGTH_BYTES <= state.length) {
    const end = at + LENGTH_BYTES + view.getUint32(at);
    const named = end <= state.length ? updateOf(state.slice(at + LENGTH_BYTES, end)) : undefined;
    if (named === undefined) break;
    updates.push(named);
    at = end;
  }
  if (state[0] !== FORMAT || at !== state.length) {
    throw new TypeError("the snapshot is not one of documents, or of a newer version of the app");
  }
  return updates;
}
