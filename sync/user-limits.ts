/** The limits that a list of users can set for each user: how much the user may store. */
import { parseSize } from "./size.ts";

/** How much a user may store, if the list says so; otherwise the settings apply. */
export interface UserLimits {
  /** In place of `QUOTA_BYTES`; 0 for any number. */
  readonly bytes?: number;
  /** In place of `QUOTA_CLIENTS`. */
  readonly clients?: number;
}

/** Lines of a list that are wrong. The message has a line for each, with its number. */
export class InvalidAllowList extends Error {
  override name = "InvalidAllowList";
}

/** How many limits there are. */
export const LIMITS = 2;

/** Half of the clients that a sync status may always name, whatever `QUOTA_CLIENTS` is (`mostClients`). */
const MOST_CLIENTS = 5000;

/** The limit that a word of a list sets; `undefined` for any other word. Throws `InvalidAllowList`. */
export function limitOf(word: string): UserLimits | undefined {
  const [name, value = ""] = word.split("=", 2);
  if (name === "quota") {
    const bytes = parseSize(value);
    if (Number.isSafeInteger(bytes)) return { bytes };
    throw new InvalidAllowList("quota= takes a size such as 500MiB or 5GiB, or 0 for no limit");
  }
  if (name !== "clients") return undefined;
  const clients = /^[1-9]\d{0,3}$/.test(value) ? Number(value) : Number.NaN;
  if (clients <= MOST_CLIENTS) return { clients };
  throw new InvalidAllowList(`clients= takes a whole number from 1 to ${MOST_CLIENTS}`);
}
