import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AnomalyMonitor } from "../../oplog/anomalies.ts";
import { Listing } from "../../oplog/listing.ts";
import { formatMarker, formatName } from "../../oplog/names.ts";
import { NO_TELEMETRY } from "../../oplog/telemetry.ts";
import { RecordingTelemetry } from "../support/telemetry.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const user = someFingerprint();
const client = newClient();

/** A listing with operations under these indexes; an index given twice is a fork. */
function listing(indexes: readonly number[], unrecognized: readonly string[] = []): Listing {
  const names = indexes.map((index, i) =>
    formatName({ user, client, first: index, last: index, md5: String(i).padStart(32, "0") }),
  );
  return new Listing([...names.toSorted(), ...unrecognized].map((name) => ({ name, size: 1 })));
}

describe("the anomaly monitor", () => {
  it("reports forks, holes and unrecognized objects, and nothing of a sound log", () => {
    const reported: unknown[] = [];
    const monitor = new AnomalyMonitor({
      onFound: (...found) => reported.push(found),
      telemetry: NO_TELEMETRY,
    });
    monitor.inspect(user, listing([0, 1, 2]));
    monitor.inspect(someFingerprint(), listing([]));
    assert.deepEqual(reported, []);
    monitor.inspect(user, listing([0, 1, 1, 3, 5], [`${user}.strange`]));
    assert.deepEqual(reported, [[user, { forks: 1, holes: 2, unrecognized: 1 }]]);
  });

  it("reports neither markers nor the leftovers of an erased user", () => {
    let reported = 0;
    const monitor = new AnomalyMonitor({ onFound: () => reported++, telemetry: NO_TELEMETRY });
    monitor.inspect(user, listing([0], [formatMarker({ kind: "signed", user })]));
    const tombstone = formatMarker({ kind: "erased", user, at: 1_800_000_000 });
    const left = listing([0, 2, 2], [tombstone, `${user}.strange`]);
    monitor.inspect(user, left);
    assert.equal(reported, 0);
    assert.equal(left.clients.size, 0);
    assert.equal(left.runs, 0);
    assert.equal(left.leftovers, 4);
  });

  it("reports anomalies once, and again when they change or come back", () => {
    let reported = 0;
    const telemetry = new RecordingTelemetry();
    const monitor = new AnomalyMonitor({ onFound: () => reported++, telemetry });
    for (let i = 0; i < 3; i++) monitor.inspect(user, listing([0, 2]));
    assert.equal(reported, 1);
    monitor.inspect(user, listing([0, 2, 4]));
    assert.equal(reported, 2);
    assert.equal(telemetry.value("log_damage", "hole"), 2, "only what was added is counted");
    monitor.inspect(user, listing([0, 1, 2]));
    monitor.inspect(user, listing([0, 2]));
    assert.equal(reported, 3);
  });

  it("reports forks that only segments show once for each place, however often they are read", () => {
    const reported: unknown[] = [];
    const telemetry = new RecordingTelemetry();
    const onFound = (...found: unknown[]) => reported.push(found);
    const monitor = new AnomalyMonitor({ onFound, telemetry });
    for (const first of [0, 0, 4]) monitor.reportForks(user, client, { first, last: first + 1 }, 2);
    const found = [user, { forks: 2, holes: 0, unrecognized: 0 }];
    assert.deepEqual(reported, [found, found]);
    assert.equal(telemetry.value("log_damage", "fork"), 4);
  });
});
