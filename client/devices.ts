import type { Positions } from "./positions.ts";
import type { OtherDevice } from "./types.ts";

/** The client ids of others that no other one continues. */
export function devicesIn(positions: Positions, own: string): OtherDevice[] {
  return positions.all
    .filter(({ client }) => positions.endOf(client) === Infinity)
    .map(({ client, index, heardAt, heads = [] }) => {
      return { client, index, heardAt, seen: heads.find((one) => one.client === own)?.index };
    });
}
