/** What a person should know of operations that are missing. The page and the command line share it. */
import type { Refusal } from "../../client/index.ts";

/**
 * A sentence about a refusal.
 *
 * @param nameOf how a device is called, by its client id
 */
export function refusalText(
  { kind, client, index, by }: Refusal,
  nameOf = (id: string) => `device ${id.slice(0, 8)}`,
): string {
  const device = nameOf(client);
  const one = `note ${index} of ${device}`;
  const all = `Notes of ${device} from number ${index} on are not shown: ${kind}`;
  const witness = by === "key" ? "the device that gave the key" : nameOf(by ?? "");
  switch (kind) {
    case "forged":
      return `${all}. What the server has there was not made with this key, or not for this place.`;
    case "out of place":
      return `${all}. The server sends again what it has sent before.`;
    case "chain broken":
      return `${all}. The server has left out some before them.`;
    case "other version":
      return `${all}. Another version of this program may have made them.`;
    case "unreadable":
      return `Note ${index} of ${device} is not shown: the device has encrypted it wrongly.`;
    case "fork":
      if (by === undefined)
        return `${all}. The device was copied or restored: another note has its number.`;
      return `The server shows your devices different notes: ${witness} has received another ${one}. Do not trust this server.`;
    case "withheld":
      if (by === undefined) {
        return `The server no longer shows ${one}, which it has shown here: it was restored from a backup, or withholds it.`;
      }
      return `The server withholds ${one}: ${witness} has received it.`;
  }
}
