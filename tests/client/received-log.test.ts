/** Operations of others, read from a store while a snapshot takes their place. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StoreDamaged } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { ReceivedLog } from "../../client/received-log.ts";
import { RunVerifier } from "../../client/verify.ts";
import { newIdentity } from "../support/private-keys.ts";
import { sealed } from "../support/sealed.ts";
import { newClient } from "../support/users.ts";

describe("reading what was received of a client id", () => {
  it("ends where a snapshot has taken the place of what comes next, and takes nothing for damaged", async () => {
    const identity = await newIdentity();
    const client = newClient();
    // Of each, no two are read at once.
    const texts = Array.from({ length: 4 }, (_, i) => `${i}`.padEnd(600_000, "."));
    const lines = await sealed(identity, client, texts);
    const verifier = new RunVerifier(identity);
    const { cursor } = await verifier.verify(client, lines, undefined);
    const { cursor: third } = await verifier.verify(client, lines.slice(0, 3), undefined);
    assert.ok(cursor !== undefined && third !== undefined);
    const store = new MemoryStore();
    const payloads = lines.map(({ payload }) => payload);
    await store.receive(cursor, payloads);
    const log = new ReceivedLog(store, identity, verifier, await store.load());
    const runs = log.runs(client, undefined);
    const first = (await runs.next()).value;
    assert.equal(first?.operations.length, 1);
    // As another tab does, with the fourth behind the snapshot.
    await log.forget(client, third);
    await log.receive(third, cursor, payloads.slice(3), () => true);
    await assert.rejects(runs.next(), (error) => {
      return error instanceof StoreDamaged && /snapshot/.test(error.message);
    });
    assert.equal(log.damaged.size, 0);
    const rest: number[] = [];
    for await (const run of log.runs(client, third)) {
      rest.push(...run.operations.map(({ index }) => index));
    }
    assert.deepEqual(rest, [3]);
  });
});
