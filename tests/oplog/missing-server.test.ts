import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { changedListing, storedChange } from "../../oplog/change.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { listingsOn, storeEach, storeRun } from "../support/logs.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const TTL = 1000;

/** A log of two operations, listed at version "1" and time 0, and a third that nobody has announced. */
async function listedBeforeTheThird() {
  const driver = new MemoryDriver();
  const user = someFingerprint();
  const client = newClient();
  let time = 0;
  const now = () => time;
  const listings = listingsOn(driver, { ttl: TTL, now, version: async () => "1" });
  await storeEach(driver, user, client, ["a", "b"]);
  await listings.get(user);
  await storeRun(driver, user, client, 2, "c");
  const next = async (version: string, isMissingSome: boolean) => {
    const asked = { version, order: listings.shown(user).order, isMissingSome };
    return (await listings.get(user, asked)).clients.get(client)?.next;
  };
  return { next, pass: (milliseconds: number) => (time += milliseconds) };
}

describe("listings while a server is missing", () => {
  it("are read again once they are older than LISTING_TTL, at the same version as well", async () => {
    const { next, pass } = await listedBeforeTheThird();
    pass(TTL - 1);
    assert.equal(await next("1", true), 2);
    pass(1);
    assert.equal(await next("1", false), 2);
    assert.equal(await next("1", true), 3);
  });

  it("are read again at another version, however young they are", async () => {
    const { next } = await listedBeforeTheThird();
    assert.equal(await next("2", true), 3);
  });
});

describe("an announced operation", () => {
  it("has the log listed where the one before it was never announced", async () => {
    const driver = new MemoryDriver();
    const user = someFingerprint();
    const client = newClient();
    await storeEach(driver, user, client, ["a"]);
    const list = () => listingsOn(driver).get(user);
    const first = await list();
    const again = await list();
    await storeEach(driver, user, client, ["a", "b", "c"]);
    const full = await list();
    const of = (index: number) => storedChange(full, client, { first: index, last: index });
    assert.equal(changedListing(first, user, of(2)), undefined);
    assert.equal(first.clients.get(client)?.next, 1);
    const second = changedListing(again, user, of(1));
    assert.equal(second && changedListing(second, user, of(2))?.clients.get(client)?.next, 3);
  });
});
