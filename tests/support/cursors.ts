import type { Cursor } from "../../client/types.ts";

/** A cursor that belongs to no operation, in a form that a store takes. */
export function someCursor(client: string, index: number): Cursor {
  const tag = "AAAAAAAAAAAAAAAAAAAAAA";
  return { client, index, tag, previous: tag, session: { first: 0, secret: "AAAA" } };
}
