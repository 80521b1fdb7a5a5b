/** The snapshot that a device keeps, where several tabs share it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KeptSnapshot } from "../../client/kept-snapshot.ts";
import { RunVerifier } from "../../client/verify.ts";
import { Writes } from "../../client/writes.ts";
import { newIdentity } from "../support/private-keys.ts";
import { SharedPlace } from "../support/shared-place.ts";
import { newClient } from "../support/users.ts";

describe("the snapshot that tabs keep", () => {
  it("is loaded only once the tab has loaded it that has put it in the place of another one", async () => {
    const place = new SharedPlace(() => 0);
    const verifier = new RunVerifier(await newIdentity());
    const open = async (slot: number) => {
      const store = place.open(slot);
      const writes = new Writes(store);
      const kept = new KeptSnapshot(store, verifier, writes, await store.load());
      writes.onChange = async (state) => kept.take(state);
      return kept;
    };
    const [one, other] = [await open(0), await open(1)];
    const client = newClient();
    await one.keep({ client, index: 3, payload: "first" }, new Map(), false);
    const { name } = one;
    await other.keep({ client, index: 8, payload: "second" }, new Map(), false);
    await one.setLoaded(name);
    // Where the other tab crashes now, its app has not got what the second one stands for.
    assert.deepEqual((await place.memory.load()).snapshot, { client, index: 8, isLoaded: false });
    await other.setLoaded(other.name);
    assert.deepEqual((await place.memory.load()).snapshot, { client, index: 8, isLoaded: true });
    assert.equal(other.name?.isLoaded, true);
  });
});
