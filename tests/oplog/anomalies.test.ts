import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AnomalyMonitor } from "../../oplog/anomalies.ts";
import { Listing } from "../../oplog/listing.ts";
import { formatMarker, formatName } from "../../oplog/names.ts";
import { RecordingTelemetry } from "../support/telemetry.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const user = someFingerprint();
const client = newClient();

/** A listing with operations under these indexes; one that is given twice is a fork. */
function listing(indexes: readonly number[], foreign: readonly string[] = []): Listing {
  const names = indexes.map((index, i) =>
    formatName({ user, client, first: index, last: index, md5: String(i).padStart(32, "0") }),
  );
  return new Listing([...names.toSorted(), ...foreign].map((name) => ({ name, size: 1 })));
}

describe("watching for damage", () => {
  it("tells of forks, holes and foreign objects, and of a whole log nothing", () => {
    const told: unknown[] = [];
    const watch = new AnomalyMonitor({ onFound: (...found) => told.push(found) });
    watch.inspect(user, listing([0, 1, 2]));
    watch.inspect(someFingerprint(), listing([]));
    assert.deepEqual(told, []);
    watch.inspect(user, listing([0, 1, 1, 3, 5], [`${user}.strange`]));
    assert.deepEqual(told, [[user, { forks: 1, holes: 2, unrecognized: 1 }]]);
  });

  it("tells nothing of markers, nor of what an erased user has left behind", () => {
    let told = 0;
    const watch = new AnomalyMonitor({ onFound: () => told++ });
    watch.inspect(user, listing([0], [formatMarker({ kind: "signed", user })]));
    const tombstone = formatMarker({ kind: "erased", user, at: 1_800_000_000 });
    const left = listing([0, 2, 2], [tombstone, `${user}.strange`]);
    watch.inspect(user, left);
    assert.equal(told, 0);
    assert.equal(left.clients.size, 0);
    assert.equal(left.runs, 0);
    assert.equal(left.leftovers, 4);
  });

  it("tells of the same damage once, and again when it changes or comes back", () => {
    let told = 0;
    const telemetry = new RecordingTelemetry();
    const watch = new AnomalyMonitor({ onFound: () => told++, telemetry });
    for (let i = 0; i < 3; i++) watch.inspect(user, listing([0, 2]));
    assert.equal(told, 1);
    watch.inspect(user, listing([0, 2, 4]));
    assert.equal(told, 2);
    assert.equal(telemetry.value("log_damage", "hole"), 2, "only what was added is counted");
    watch.inspect(user, listing([0, 1, 2]));
    watch.inspect(user, listing([0, 2]));
    assert.equal(told, 3);
  });
});
