import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { ObjectMissing } from "../../../storage/driver.ts";
import { InstrumentedDriver } from "../../../storage/instrumented.ts";
import { MemoryDriver } from "../../../storage/memory.ts";
import { openStorage } from "../../../storage/open.ts";
import { temporaryFolder } from "../../support/folder.ts";

const small = new TextEncoder().encode("small");
const large = new Uint8Array(64 * 1024);

describe("objects that others hold", () => {
  let folder: ReturnType<typeof temporaryFolder>;

  beforeEach(() => {
    folder = temporaryFolder();
  });

  afterEach(() => folder.remove());

  it("are deleted at once where a journal has them, and files stay", async () => {
    const driver = new InstrumentedDriver(await openStorage(folder.path));
    for (const name of ["u.small", "u.other", "u.holder"]) await driver.put(name, small);
    await driver.put("u.large", large);
    const held = ["u.small", "u.large", "u.missing"].map((name) => ({ name, heldBy: "u.holder" }));
    const deleted = (await driver.deleteHeld?.(held)) ?? [];
    assert.deepEqual(
      deleted.map(({ name }) => name),
      ["u.small"],
    );
    assert.equal(driver.requests.delete, 1);
    await assert.rejects(driver.get("u.small"), ObjectMissing);
    await driver.close();

    const again = await openStorage(folder.path);
    const names = (await again.list("")).map(({ name }) => name);
    assert.deepEqual(names, ["u.holder", "u.large", "u.other"]);
    await again.close();
  });

  it("are all left where one of them has a name that no object may have", async () => {
    const driver = await openStorage(folder.path);
    await driver.put("u.small", small);
    const held = ["u.small", "../small"].map((name) => ({ name, heldBy: "u.holder" }));
    await assert.rejects(async () => driver.deleteHeld?.(held), TypeError);
    assert.equal((await driver.list("")).length, 1);
    await driver.close();
  });

  it("are not deleted at once by a driver whose copies would miss them", () => {
    assert.equal(new InstrumentedDriver(new MemoryDriver()).deleteHeld, undefined);
  });
});
