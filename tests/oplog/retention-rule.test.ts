import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Covers } from "../../oplog/batch.ts";
import type { ListedSnapshot } from "../../oplog/listed-snapshots.ts";
import { Listing } from "../../oplog/listing.ts";
import { formatName, formatSnapshot } from "../../oplog/names.ts";
import {
  newFloors,
  type ReadableSnapshots,
  spentSnapshots,
  trimmable,
} from "../../oplog/retention/rule.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const user = someFingerprint();
const [client, second, third] = [newClient(), newClient(), newClient()];
const md5 = "0cc175b9c0f1b6a831c399e269772661";

/** At the time 1000, snapshots of 100 are old enough, and all servers see those of 10. */
const TIMES = { until: 900, untilElsewhere: 905, settled: 990 };

/** A snapshot, and what it covers. */
interface Stored {
  readonly snapshot: ListedSnapshot;
  readonly covers: Covers;
}

/** Stored by its age at the time 1000. */
function stored(age: number, covers: Readonly<Record<string, number>> = {}): Stored {
  const snapshot = { user, at: 1000 - age, client, index: age, md5, size: 2 };
  return { snapshot, covers: new Map(Object.entries(covers)) };
}

/** Those of a log, in the order of their names, which begin with their times. */
function readable(
  all: readonly Stored[],
  isUsable: (snapshot: ListedSnapshot, covers: Covers) => boolean = () => true,
): ReadableSnapshots {
  const names = new Map(all.map((one) => [formatSnapshot(one.snapshot), one]));
  const sorted = [...names.keys()].sort().flatMap((name) => names.get(name) ?? []);
  const coversOf = new Map(sorted.map(({ snapshot, covers }) => [snapshot, covers]));
  return {
    listed: sorted.map(({ snapshot }) => snapshot),
    coversOf: async (snapshot) => coversOf.get(snapshot),
    isUsable,
  };
}

describe("the rule of retention", () => {
  /** The ages of those that are needed; none where older ones are as well. */
  const neededOf = async (all: readonly Stored[]) => {
    const oldest = (await trimmable(readable(all), TIMES))?.oldest;
    const ages = all.map(({ snapshot }) => 1000 - snapshot.at);
    return ages.filter((age) => oldest !== undefined && 1000 - age >= oldest.at);
  };
  const ofAges = (...ages: readonly number[]) => neededOf(ages.map((age) => stored(age)));

  it("needs the newest that is old enough, and at least two", async () => {
    assert.deepEqual(await ofAges(), []);
    assert.deepEqual(await ofAges(500), []);
    assert.deepEqual(await ofAges(20, 50, 99), []);
    assert.deepEqual(await ofAges(20, 50, 100, 200, 300), [20, 50, 100]);
    assert.deepEqual(await ofAges(150, 200, 300), [150, 200]);
  });

  it("does not count one that other servers may not see yet among the two", async () => {
    assert.deepEqual(await ofAges(5, 200, 300), [5, 200, 300]);
    assert.deepEqual(await ofAges(5, 6, 200, 300, 400), [5, 6, 200, 300]);
    assert.deepEqual(await ofAges(5, 200), []);
  });

  it("does not count one that lacks what two others cover, of which one is old enough", async () => {
    const [old, older] = [stored(200, { [client]: 5 }), stored(300, { [client]: 4 })];
    assert.deepEqual(await neededOf([stored(50, { [client]: 4 }), old, older]), [50, 200]);
    // By the two others, another server may be storing a floor of 4 just now.
    const [behind, equal] = [stored(50, { [client]: 3 }), stored(60, { [client]: 4 })];
    assert.deepEqual(await neededOf([behind, old, older]), [50, 200, 300]);
    assert.deepEqual(await neededOf([behind, equal, old, older]), [50, 60, 200]);
    const { covers } = (await trimmable(readable([behind, equal, old, older]), TIMES)) ?? {};
    assert.deepEqual(covers, new Map([[client, 4]]));
  });

  it("does not count one that lacks what two others cover, of which one may be old enough elsewhere", async () => {
    const with3 = (age: number) => [
      stored(5, { [client]: 5 }),
      stored(50, { [client]: 3 }),
      stored(age, { [client]: 5 }),
      stored(300, { [client]: 1 }),
    ];
    assert.deepEqual(await neededOf(with3(94)), [5, 50, 94, 300]);
    assert.deepEqual(await neededOf(with3(95)), []);
  });

  it("goes on where there is always one that may be old enough elsewhere", async () => {
    const covered = (age: number) => ({ [client]: 1000 - age });
    const all = Array.from({ length: 500 }, (_, age) => stored(age, covered(age)));
    const { covers, oldest } = (await trimmable(readable(all), TIMES)) ?? {};
    assert.deepEqual([covers?.get(client), oldest?.at], [900, 900]);
  });

  it("leaves two above all floors where a server goes by an earlier time than the one before it", async () => {
    const [x, y] = [{ [client]: 9 }, { [second]: 9 }];
    const all = [stored(400, y), stored(99, x), stored(50, x)];
    const later = { until: 901, untilElsewhere: 906, settled: 991 };
    const first = await trimmable(readable(all), later);
    assert.deepEqual(first?.covers, new Map(Object.entries(x)));
    // Its floor is not stored yet. Another snapshot was on its way meanwhile.
    const late = stored(20, y);
    const next = await trimmable(readable([...all, late]), TIMES);
    // By a floor of the other client, none of the four would be above both.
    assert.equal(next, undefined);
  });

  it("counts one that lacks only what is covered by one, or by none that is old enough", async () => {
    const all = [
      stored(20, { [client]: 3, [second]: 9 }),
      stored(50, { [client]: 8, [second]: 5 }),
      stored(60, { [client]: 9, [second]: 3 }),
      stored(100, { [client]: 3, [second]: 3 }),
    ];
    assert.deepEqual(await neededOf(all), [20, 50, 60, 100]);
  });

  it("counts a snapshot once that two servers have stored, by its older marker", async () => {
    const again = (one: Stored, age: number): Stored => {
      return { ...one, snapshot: { ...one.snapshot, at: 1000 - age } };
    };
    const [one, other] = [stored(200, { [client]: 4 }), stored(300, { [client]: 4 })];
    assert.deepEqual(await neededOf([again(one, 150), one]), []);
    assert.deepEqual(await neededOf([again(one, 50), one, other]), [50, 200, 300]);
    assert.deepEqual(
      await neededOf([stored(60), stored(70), again(one, 50), one]),
      [60, 70, 50, 200],
    );
  });

  it("deletes snapshots that are older than those that stay, and cover no more than each of them", async () => {
    const all = [
      stored(50, { [client]: 7, [second]: 5 }),
      stored(100, { [client]: 6, [second]: 6 }),
      stored(200, { [client]: 6, [second]: 5 }),
      stored(300, { [third]: 1 }),
      stored(400, {}),
    ];
    const snapshots = readable(all);
    const decided = (await trimmable(snapshots, TIMES)) ?? assert.fail();
    const spent = await spentSnapshots(snapshots, decided);
    assert.deepEqual(
      spent.map(({ at }) => 1000 - at),
      [400, 200],
    );
  });

  it("deletes markers that cannot be read, and counts them for nothing", async () => {
    const snapshots = readable([stored(50), stored(100), stored(200)]);
    const isDamaged = ({ at }: ListedSnapshot) => at === 800;
    const some: ReadableSnapshots = {
      ...snapshots,
      coversOf: async (one) => (isDamaged(one) ? undefined : snapshots.coversOf(one)),
    };
    const decided = (await trimmable(some, TIMES)) ?? assert.fail();
    assert.equal(decided.oldest?.at, 900);
    assert.deepEqual((await spentSnapshots(some, decided)).map(isDamaged), [true]);
    const earlier = (await trimmable(some, { ...TIMES, until: 850 })) ?? assert.fail();
    assert.deepEqual([earlier.covers.size, earlier.oldest], [0, undefined]);
  });

  it("sets the floor of a client at the end of the last object that may be deleted whole", () => {
    const objects = [
      ...[0, 1, 2].map((index) => formatName({ user, client, first: index, last: index, md5 })),
      formatName({ user, client: second, first: 0, last: 3, md5, crc32: "e8b7be43" }),
      formatName({ user, client: second, first: 4, last: 9, md5, crc32: "e8b7be43" }),
      formatName({ user, client: third, first: 0, last: 0, md5 }),
    ];
    const listing = new Listing(objects.sort().map((name) => ({ name, size: 10 })));
    const covers = new Map([
      [client, 1],
      [second, 8],
    ]);
    const floors = newFloors(listing, { oldest: stored(0).snapshot, covers });
    const expected = new Map([
      [client, 1],
      [second, 3],
    ]);
    assert.deepEqual(floors, expected);
  });
});

describe("sweeps of any number of servers, each part of which may come much later than the one before", () => {
  const CLIENTS = [client, second, third];
  const step = fc.record({
    kind: fc.constantFrom("snapshot", "snapshot", "sweep", "lands", "lands", "lands", "wait"),
    /** What a snapshot covers of each client, or how far above the highest, as `isAhead` says. */
    covers: fc.tuple(...CLIENTS.map(() => fc.nat(4))),
    isAhead: fc.boolean(),
    /** Which of the things under way lands. */
    which: fc.nat(50),
    wait: fc.nat(80),
  });

  it("leave two snapshots at least that cover all floors, at any time", async () => {
    let floorsStored = 0;
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 40, maxLength: 120 }),
      async (steps) => {
        let time = 1000;
        let all: Stored[] = [];
        const floors = new Map<string, number>();
        const underWay: (() => unknown)[] = [];
        const isUsable = (_: ListedSnapshot, covers: Covers) =>
          [...floors].every(([name, floor]) => floor <= (covers.get(name) ?? -1));
        for (const [index, { kind, covers: some, isAhead, which, wait }] of steps.entries()) {
          if (kind === "wait") time += wait;
          if (kind === "snapshot") {
            const covers = new Map<string, number>();
            for (const [i, name] of CLIENTS.entries()) {
              const highest = Math.max(-1, ...all.map((one) => one.covers.get(name) ?? -1));
              const covered = (isAhead ? highest : -1) + (some[i] ?? 0);
              if (covered >= 0) covers.set(name, covered);
            }
            const snapshot = { user, at: time, client, index, md5, size: 2 };
            // It is refused otherwise.
            if (!isUsable(snapshot, covers)) continue;
            underWay.push(() => all.push({ snapshot, covers }));
            // A retry through another server, which does not see the first marker.
            const again = () => all.push({ snapshot: { ...snapshot, at: time }, covers });
            if (which % 3 === 0) underWay.push(again);
          }
          if (kind === "sweep") {
            // Clocks differ, and a list comes long after the time that its sweep goes by.
            const skew = (which % 11) - 5;
            const began = time + skew;
            underWay.push(async () => {
              const snapshots = readable(all, isUsable);
              const decided = await trimmable(snapshots, {
                until: began - 100,
                untilElsewhere: time + skew - 90,
                settled: began - 10,
              });
              if (decided === undefined) return;
              const spent = await spentSnapshots(snapshots, decided);
              const deletes = spent.map((one) => () => {
                all = all.filter(({ snapshot }) => snapshot !== one);
              });
              // The floors land in any order, the deletes after all of them.
              let left = decided.covers.size;
              if (left === 0) underWay.push(...deletes);
              for (const [name, covered] of decided.covers) {
                underWay.push(() => {
                  // Objects that compaction has packed since may end below, so the floor may be lower.
                  const floor = covered - (which % 2);
                  if (floor > (floors.get(name) ?? -1)) floors.set(name, floor);
                  floorsStored++;
                  left--;
                  if (left === 0) underWay.push(...deletes);
                });
              }
            });
          }
          if (kind === "lands") await underWay.splice(which % (underWay.length || 1), 1)[0]?.();
          const usable = all.filter(({ snapshot, covers }) => isUsable(snapshot, covers));
          const { size } = new Set(usable.map(({ snapshot }) => snapshot.index));
          if (floors.size > 0) assert.ok(size >= 2, `${size} snapshots stay`);
        }
      },
    );
    await fc.assert(property, { numRuns: 3000 });
    // Otherwise it proves nothing.
    assert.ok(floorsStored > 1000, `${floorsStored} floors were stored`);
  });
});
