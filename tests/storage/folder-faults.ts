/** How a driver that keeps its objects in a folder loses that folder, as by an unmounted disk. */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Driver } from "../../storage/driver.ts";
import { temporaryFolder } from "../support/folder.ts";
import type { Faults } from "./contract/place.ts";

/** @param open opens a driver on a folder that exists */
export function folderFaults(open: (folder: string) => Promise<Driver>): Faults {
  return {
    openAbsent: async () => {
      const { path, remove } = temporaryFolder();
      // Nothing can be created below a file.
      writeFileSync(join(path, "file"), "");
      return open(join(path, "file", "objects")).finally(remove);
    },
    openBreakable: async () => {
      const { path, remove } = temporaryFolder();
      const folder = join(path, "objects");
      mkdirSync(folder);
      const driver = await open(folder);
      const close = driver.close.bind(driver);
      driver.close = () => close().finally(remove);
      return {
        driver,
        breakBackend: () => renameSync(folder, `${folder}-unmounted`),
        repairBackend: () => renameSync(`${folder}-unmounted`, folder),
      };
    },
  };
}
