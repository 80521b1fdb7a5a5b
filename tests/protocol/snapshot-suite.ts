/** What snapshots leave in the storage, as a part of the protocol suite that runs on every storage. */
import assert from "node:assert/strict";
import { beforeEach, it } from "node:test";
import { parseSnapshot } from "../../oplog/names.ts";
import type { HookedDriver } from "../support/drivers.ts";
import type { Answer, Serving } from "../support/http.ts";
import { newSigningUser, type SigningUser } from "../support/signing.ts";
import { signedSync } from "../support/snapshots.ts";
import { newClient } from "../support/users.ts";

export interface SnapshotPlace {
  readonly server: Serving;
  readonly driver: HookedDriver;
  /** Compacts, if this suite is about that. */
  readonly compacted: () => Promise<void>;
}

const LONG = "x".repeat(3000);

/** Declares the tests, within a `describe`. */
export function snapshotTests(place: () => SnapshotPlace): void {
  let user: SigningUser;
  let a: string;
  let b: string;
  const post = async (members: Readonly<Record<string, unknown>>) => {
    const answer = await signedSync(place().server.url, user, members);
    await place().compacted();
    return answer;
  };
  /** Stores four long operations of each of two clients, and a short snapshot of the first client. */
  const begin = async (): Promise<Record<string, unknown>> => {
    await post({ client_id: a, operation_index: 0, payload: Array(4).fill(LONG) });
    await post({ client_id: b, operation_index: 0, payload: Array(4).fill(LONG) });
    const snapshot = { covers: { [b]: 2, [a]: 3 } };
    return { client_id: a, operation_index: 4, payload: "state", snapshot };
  };
  const markers = async () =>
    (await place().driver.list(`${user.fingerprint}.snapshot.`)).map(({ name }) => name);

  beforeEach(async () => {
    user = await newSigningUser();
    const [first = "", second = ""] = [newClient(), newClient()].sort();
    [a, b] = [first, second];
  });

  it("writes nothing for a snapshot that is sent again, and refuses one that covers something else", async () => {
    const request = await begin();
    await post(request);
    const stored = await markers();
    assert.deepEqual(
      stored.map((name) => parseSnapshot(name)?.index),
      [4],
    );
    const puts = place().driver.count("put");
    assert.equal((await post(request)).status, 200);
    assert.equal(place().driver.count("put"), puts);
    assertRefused(await post({ ...request, snapshot: { covers: { [a]: 3, [b]: 1 } } }), a, 5);
    assert.deepEqual(await markers(), stored);
  });

  it("refuses a snapshot of operations that it does not have, and stores nothing", async () => {
    const request = await begin();
    const objects = await place().driver.list(user.fingerprint);
    assertRefused(await post({ ...request, snapshot: { covers: { [a]: 3, [b]: 4 } } }), b, 4);
    const other = newClient();
    assertRefused(
      await post({ ...request, snapshot: { covers: { [a]: 3, [other]: 0 } } }),
      other,
      0,
    );
    assert.deepEqual(await place().driver.list(user.fingerprint), objects);
    // Without what it covers, it is an operation like any other.
    assert.equal((await post({ ...request, snapshot: undefined })).status, 200);
  });
}

function assertRefused({ status, problem }: Answer, client: string, next: number): void {
  assert.equal(status, 409);
  assert.equal(problem.type, "urn:sync-server:snapshot-refused");
  assert.deepEqual([problem.client_id, problem.next_index], [client, next]);
}
