/** What takes the place of an operation that is too large for the server. */
import type { Bytes } from "../../protocol/bytes.ts";
import type { SyncClient } from "../client.ts";
import type { OperationName } from "../types.ts";

/**
 * The entries of an operation of `client.tooLarge`, each made smaller. Throws a `RangeError` for one that
 * is not among those, or that this device cannot read.
 */
export async function replacementOf(
  operation: OperationName,
  client: Pick<SyncClient, "tooLarge" | "entries">,
  smaller: (entry: Bytes) => Bytes,
): Promise<Bytes[]> {
  const isIt = (one: OperationName) =>
    one.client === operation.client && one.index === operation.index;
  const found: Bytes[] = [];
  if (client.tooLarge.some(isIt)) {
    for await (const read of client.entries()) {
      for (const one of read) if (isIt(one)) found.push(smaller(one.data));
    }
  }
  if (found.length === 0) throw new RangeError("the operation is not too large");
  return found;
}
