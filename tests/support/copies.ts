/** Copies of storages: how tests make them, and how they compare what is in them. */
import { Copier, type CopierOptions } from "../../commands/copy/copier.ts";
import type { Finding } from "../../commands/copy/findings.ts";
import { Pace } from "../../commands/copy/pace.ts";
import { type Driver, md5Of, type StorageReader } from "../../storage/driver.ts";

/** Copies between drivers, as `sync-server copy` does. */
export async function copyBetween(
  from: StorageReader,
  to: Driver,
  options: Partial<CopierOptions> = {},
): Promise<{ findings: Finding[]; counts: Copier["counts"] }> {
  const findings: Finding[] = [];
  const copier = new Copier({
    ...{ from, to, user: "", parallel: 8, readBack: true },
    pace: new Pace({ rate: Number.POSITIVE_INFINITY }),
    onFinding: async (finding) => void findings.push(finding),
    ...options,
  });
  await copier.run();
  return { findings, counts: copier.counts };
}

/** All that is in a storage: the MD5 of each body by its name. */
export async function contentsOf(storage: StorageReader): Promise<Record<string, string>> {
  const contents: Record<string, string> = {};
  for (const { name } of await storage.list("")) contents[name] = md5Of(await storage.get(name));
  return contents;
}
