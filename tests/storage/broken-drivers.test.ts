/** The driver contract, tested by drivers that it has to reject. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Driver } from "../../storage/driver.ts";
import { temporaryFolder } from "../support/folder.ts";
import * as broken from "./broken-drivers.ts";
import { type Place, type Subject, subjectOf } from "./contract/place.ts";
import { canWatch } from "./contract/processes.ts";
import { declareContract, driverContract } from "./driver-contract.ts";
import { folderFaults } from "./folder-faults.ts";

/** Where a broken driver is tested: a folder, which some of them do not use. */
function placeOf(name: string, open: (folder: string) => Promise<Driver>, folder: string): Place {
  const module = new URL("./broken-drivers.ts", import.meta.url).href;
  return {
    open: () => open(folder),
    processes: { module, driver: name, location: folder, files: true },
    faults: folderFaults(open),
    remove: () => undefined,
  };
}

describe("the driver contract", () => {
  for (const [name, { open, rejectedBy, because }] of Object.entries(broken)) {
    const skip = name === "neverSyncs" && !canWatch() && "there is no strace, or it may not";
    it(`rejects a driver that ${words(name)}`, { skip }, async () => {
      const folder = temporaryFolder();
      const place = placeOf(name, open, folder.path);
      const tests = new Map<string, (subject: Subject) => Promise<void>>();
      declareContract(place, (title, run) => tests.set(title, run));
      const test = tests.get(rejectedBy) ?? assert.fail(`no test is called ${rejectedBy}`);
      const driver = await open(folder.path);
      try {
        await assert.rejects(test(subjectOf(place, driver)), because);
      } finally {
        await driver.close();
        folder.remove();
      }
    });
  }
});

driverContract("a driver that this runtime lacks", {
  available: () => "this runtime has no such module",
  open: () => assert.fail("it was opened"),
  processes: "it cannot be opened",
  faults: "it cannot be opened",
  remove: () => assert.fail("there is nothing to remove"),
});

/** `listsOnePage` as words. */
function words(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
