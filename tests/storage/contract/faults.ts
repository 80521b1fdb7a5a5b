/** What a driver says while its backend fails, and what it has once that is back. */
import assert from "node:assert/strict";
import { type Driver, ObjectMissing, StorageUnavailable } from "../../../storage/driver.ts";
import { someFingerprint } from "../../support/users.ts";
import { type Declare, type Faults, text } from "./place.ts";

/** Every call that a backend may refuse. `stored` is there, `other` is not. */
const calls: Readonly<Record<string, (driver: Driver, stored: string, other: string) => unknown>> =
  {
    "a list of a partition": (driver, stored) => driver.list(stored),
    "a list of all": (driver) => driver.list(""),
    "a get": (driver, stored) => driver.get(stored),
    "a get of what was never put": (driver, _stored, other) => driver.get(other),
    "a put": (driver, _stored, other) => driver.put(other, text("other")),
    "a put of what is stored": (driver, stored) => driver.put(stored, text("stored")),
    "a delete": (driver, stored) => driver.delete(stored),
  };

export function declareFaults(it: Declare, faults: Faults): void {
  it("does not open where the backend is absent", async () => {
    await assert.rejects(faults.openAbsent(), StorageUnavailable);
  });

  it("fails every call with StorageUnavailable while the backend fails, and never calls it empty", async () => {
    const { driver, breakBackend, repairBackend } = await faults.openBreakable();
    const user = someFingerprint();
    const [stored, other] = [`${user}.stored`, `${user}.other`];
    await driver.put(stored, text("stored"));
    await breakBackend();
    try {
      for (const [what, call] of Object.entries(calls)) {
        await assert.rejects(
          async () => call(driver, stored, other),
          (error: unknown) => error instanceof StorageUnavailable && error.reason !== "",
          what,
        );
      }
      if (driver.check !== undefined) await assert.rejects(driver.check(), StorageUnavailable);
    } finally {
      await repairBackend();
      await driver.close();
    }
  });

  it("has everything when the backend is back, and stores again", async () => {
    const { driver, breakBackend, repairBackend } = await faults.openBreakable();
    const user = someFingerprint();
    await driver.put(`${user}.a`, text("first"));
    await breakBackend();
    await assert.rejects(driver.put(`${user}.b`, text("second")), StorageUnavailable);
    await repairBackend();
    assert.deepEqual(Buffer.from(await driver.get(`${user}.a`)), Buffer.from("first"));
    await assert.rejects(driver.get(`${user}.never`), ObjectMissing);
    // The put that failed may have stored its object, whole.
    for (const { name, size } of await driver.list(`${user}.`)) {
      assert.equal(size, name.endsWith(".a") ? 5 : 6, name);
    }
    await driver.put(`${user}.b`, text("second"));
    assert.deepEqual(await driver.list(`${user}.`), [
      { name: `${user}.a`, size: 5 },
      { name: `${user}.b`, size: 6 },
    ]);
    assert.deepEqual(Buffer.from(await driver.get(`${user}.b`)), Buffer.from("second"));
    await driver.close();
  });
}
