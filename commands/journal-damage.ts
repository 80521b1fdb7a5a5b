import { openToRead } from "../storage/open.ts";
import { countText } from "./output.ts";
import type { Finding } from "./report.ts";

/** Bytes in a journal that are no records any more. */
export interface JournalDamage {
  readonly journal: string;
  readonly offset: number;
  readonly bytes: number;
}

/** Reads the journals anew where one was damaged: those that are gone by now lost nothing. */
export async function confirmed(
  location: string,
  damage: readonly JournalDamage[],
): Promise<Finding<"journal">[]> {
  if (damage.length === 0) return [];
  const again: JournalDamage[] = [];
  const storage = await openToRead(location, (journal, some) => again.push({ journal, ...some }));
  await storage.close();
  const seen = new Set(damage.map(({ journal, offset }) => `${journal} ${offset}`));
  return again
    .filter(({ journal, offset }) => seen.has(`${journal} ${offset}`))
    .map(({ journal, offset, bytes }) => ({
      kind: "journal",
      what: `${countText(bytes, "byte")} from ${offset} on in the journal ${journal} are no records`,
      journal,
      offset,
      bytes,
    }));
}
