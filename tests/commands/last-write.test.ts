/** When `sync-server usage` says that a user has last stored something. */
import assert from "node:assert/strict";
import { utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { lastWriteJson, lastWriteOf, lastWriteText, laterOf } from "../../commands/last-write.ts";
import { usage } from "../../commands/usage.ts";
import { FEWEST_OPERATIONS, planSegments } from "../../oplog/compaction/planner.ts";
import { Listing } from "../../oplog/listing.ts";
import { type Fingerprint, formatFloor, formatName, type ObjectName } from "../../oplog/names.ts";
import type { StoredObject } from "../../storage/driver.ts";
import { openStorage } from "../../storage/open.ts";
import { jsonOf, onEachStorage, runCommand } from "../support/commands.ts";
import { temporaryFolder } from "../support/folder.ts";
import { processOn, storeRun } from "../support/logs.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const MD5 = "0".repeat(32);

/** Of a user, or of all. */
async function lastWriteIn(place: string, user?: Fingerprint): Promise<number> {
  const { objects } = await jsonOf(usage, place);
  const found = user ? objects.find((one) => one.user === user) : objects.at(-1)?.total;
  const { lastWrite }: Record<string, unknown> = Object(found);
  return Date.parse(String(lastWrite));
}

onEachStorage("the last write", ({ newPlace, open }) => {
  it("is when any server stored the newest operation, also once others were packed", async () => {
    const place = newPlace();
    const [first, second] = [await open(place), await open(place)];
    const [user, client] = [someFingerprint(), newClient()];
    const since = Date.now();
    for (const index of [0, 1, 2, 3, 4]) await storeRun(first, user, client, index, "single");
    const stored = await lastWriteIn(place, user);
    // A service may give whole seconds, and the clock of files lags behind by some milliseconds.
    assert.ok(stored >= since - 1000 && stored <= Date.now() + 1000, `${stored}`);

    const server = processOn(second, 0);
    assert.equal(await server.compactor.compact(user, true), true);
    await server.compactor.stop();
    assert.ok((await second.list(user)).length < 5);
    assert.equal(await lastWriteIn(place, user), stored);

    await storeRun(second, user, newClient(), 0, "of another device");
    const later = await lastWriteIn(place, user);
    assert.ok(later >= stored, `${later} is before ${stored}`);
    assert.equal(await lastWriteIn(place), later);
    await Promise.all([first.close(), second.close()]);
  });
});

describe("the last write", () => {
  it("is that of the newest operation of any client, in UTC and to the second", async () => {
    const place = temporaryFolder();
    const storage = await openStorage(place.path, undefined, { journal: false });
    const [user, one, other] = [someFingerprint(), newClient(), newClient()];
    const store = async (time: string, client: string, first: number, ...payloads: string[]) => {
      const name = await storeRun(storage, user, client, first, ...payloads);
      utimesSync(join(place.path, user, name), new Date(time), new Date(time));
      const { lines } = await runCommand(usage, place.path);
      const columns = lines.map((line) => line.slice(55, 75).trim());
      assert.equal(columns[0], "LAST WRITE (UTC)");
      // That of the user is that of all.
      assert.equal(columns[1], columns[2]);
      return columns[1];
    };
    assert.equal(await store("2026-01-01T10:00:00.25Z", one, 0, "a"), "2026-01-01 10:00:01");
    assert.equal(await store("2026-01-01T11:00:00Z", one, 1, "b", "c"), "2026-01-01 11:00:00");
    assert.equal(await store("2026-01-01T10:59:59Z", other, 0, "d"), "2026-01-01 11:00:00");
    assert.equal(await store("2026-01-01T11:00:01Z", other, 1, "e"), "2026-01-01 11:00:01");
    // What was packed later holds nothing newer.
    assert.equal(await store("2026-01-01T12:00:00Z", one, 0, "a", "b"), "2026-01-01 11:00:01");
    // The clock was wrong.
    assert.equal(await store("2200-01-01T00:00:00Z", other, 2, "f"), "2200-01-01 00:00:00");
    await storage.close();
    place.remove();
  });

  it("is the time of the newest append, whatever compaction has packed and deleted since", () => {
    const user = someFingerprint();
    const clients = [newClient(), newClient()];
    const step = fc.record({
      kind: fc.constantFrom("append", "append", "pack", "delete"),
      client: fc.constantFrom(...clients),
      operations: fc.integer({ min: 1, max: 3 }),
      fewest: fc.integer({ min: FEWEST_OPERATIONS, max: 4 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const nexts = new Map<string, number>();
        const objects = new Map<string, StoredObject>();
        const listed = () => [...objects.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
        const put = (time: number, client: string, span: Pick<ObjectName, "first" | "last">) => {
          const name = formatName({ ...span, user, client, md5: MD5 });
          objects.set(name, { name, size: 10, storedAt: time });
        };
        let [newest, packed]: [number | undefined, string[]] = [undefined, []];
        for (const [time, { kind, client, operations, fewest }] of steps.entries()) {
          const sequence = new Listing(listed()).clients.get(client);
          if (kind === "append") {
            const first = nexts.get(client) ?? 0;
            put(time, client, { first, last: first + operations - 1 });
            nexts.set(client, first + operations);
            newest = time;
          } else if (kind === "delete") {
            for (const name of packed) objects.delete(name);
          } else if (sequence !== undefined) {
            const limits = { operations: 4, bytes: 1_000_000, objects: 1000 };
            for (const runs of planSegments(sequence, limits, fewest)) {
              const [first = 0, last = 0] = [runs[0]?.first, runs.at(-1)?.last];
              packed = runs.map((run) => formatName({ ...run, user, client }));
              put(time, client, { first, last });
            }
          }
          const now = listed();
          assert.equal(lastWriteOf(user, new Listing(now).clients, now), newest);
        }
      }),
    );
  });

  it("is unknown where nothing says when an operation was stored, and none where there is none", () => {
    const [user, client] = [someFingerprint(), newClient()];
    const name = formatName({ user, client, first: 0, last: 0, md5: MD5 });
    for (const storedAt of [undefined, 1e17, Number.NaN]) {
      const objects = [{ name, size: 1, storedAt }];
      const unknown = lastWriteOf(user, new Listing(objects).clients, objects);
      assert.equal(lastWriteJson(unknown), null);
      assert.equal(lastWriteText(unknown), "?");
      // Of several users as well, it may be the latest.
      assert.equal(laterOf(Date.now(), unknown), unknown);
    }
    const floor = { name: formatFloor({ user, client, index: 0, at: 1 }), size: 0, storedAt: 1 };
    const none = lastWriteOf(user, new Listing([floor]).clients, [floor]);
    assert.equal(lastWriteJson(none), null);
    assert.equal(lastWriteText(none), "-");
    assert.equal(laterOf(1, none), 1);
  });
});
