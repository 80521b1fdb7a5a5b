/** The contract of `storage/driver.ts`, as a suite that runs on every driver. */
import { after, before, describe, it } from "node:test";
import type { Driver } from "../../storage/driver.ts";
import { declareFaults } from "./contract/faults.ts";
import { declareMany } from "./contract/many.ts";
import { declareObjects } from "./contract/objects.ts";
import { type Declare, type Place, subjectOf } from "./contract/place.ts";
import { declareProcesses } from "./contract/processes.ts";

/**
 * Declares the suite. Each test stores under a prefix of its own, so the place may be shared. What a
 * driver cannot do is skipped with the reason that the place gives.
 */
export function driverContract(name: string, place: Place): void {
  const available = place.available?.() ?? true;
  describe(`the driver contract on ${name}`, { skip: available !== true && available }, () => {
    let driver: Driver;

    before(async () => {
      driver = await place.open();
    });
    after(async () => {
      await driver.close();
      await place.remove();
    });

    declareContract(place, (title, run) => {
      it(title, () => run(subjectOf(place, driver)));
    });
    for (const reason of [place.few, place.processes, place.faults]) {
      if (typeof reason === "string") it(`is not tested further: ${reason}`, { skip: true });
    }
  });
}

/** Declares each test of the contract that a place allows. */
export function declareContract({ few, processes, faults }: Place, declare: Declare): void {
  declareObjects(declare);
  if (few === undefined) declareMany(declare);
  if (typeof processes !== "string") declareProcesses(declare, processes);
  if (typeof faults !== "string") declareFaults(declare, faults);
}
