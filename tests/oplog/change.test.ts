import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { changedListing, packedChange, storedChange, UNKNOWN_CHANGE } from "../../oplog/change.ts";
import { Listing } from "../../oplog/listing.ts";
import { formatName, type ObjectName } from "../../oplog/names.ts";
import type { Run } from "../../oplog/sequence.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const user = someFingerprint();
const client = newClient();

function nameOf(first: number, last = first, md5 = `${first}-${last}`): ObjectName {
  const digits = Buffer.from(md5).toString("hex").padEnd(32, "0").slice(0, 32);
  const name = { user, client, first, last, md5: digits };
  return first === last ? name : { ...name, crc32: "0123abcd" };
}

function runOf(name: ObjectName, size = 10): Run {
  const { first, last, md5, crc32 } = name;
  return crc32 === undefined ? { first, last, md5, size } : { first, last, md5, crc32, size };
}

/** Operations from the first on, each in an object. */
function upTo(last: number): ObjectName[] {
  return Array.from({ length: last + 1 }, (_, index) => nameOf(index));
}

function listingOf(...names: readonly ObjectName[]): Listing {
  const objects = names.map((name) => ({ name: formatName(name), size: 10 }));
  return new Listing(objects.sort((a, b) => (a.name < b.name ? -1 : 1)));
}

function runsOf(listing: Listing | undefined): readonly Run[] | undefined {
  return listing?.clients.get(client)?.runs;
}

describe("what one server announces, another applies", () => {
  it("has in its listing what was stored, whether it had some of it or not", () => {
    fc.assert(
      fc.property(fc.nat({ max: 20 }), fc.nat({ max: 20 }), fc.nat({ max: 20 }), (a, b, first) => {
        const there = listingOf(...upTo(Math.max(a, b)));
        const here = listingOf(...upTo(a));
        const change = storedChange(there, client, { first, last: b });
        const changed = changedListing(here, user, change);
        fc.pre(first <= b);
        // What lies between has to be listed.
        if (first > a + 1) assert.equal(changed, undefined);
        else assert.deepEqual(runsOf(changed), runsOf(there));
      }),
      { numRuns: 50 },
    );
  });

  it("has both payloads of a forked operation", () => {
    const [one, two] = [nameOf(0, 0, "one"), nameOf(0, 0, "two")];
    const change = storedChange(listingOf(one, two), client, { first: 0, last: 0 });
    assert.deepEqual(
      runsOf(changedListing(listingOf(one), user, change)),
      runsOf(listingOf(one, two)),
    );
  });

  it("puts a segment in the place of what was packed into it", () => {
    const single = [0, 1, 2, 3].map((index) => nameOf(index));
    const segment = nameOf(0, 2);
    const superseded = single.slice(0, 3).map((name) => runOf(name));
    const change = packedChange(client, superseded, [runOf(segment)]);
    const after = runsOf(listingOf(segment, nameOf(3)));
    assert.deepEqual(runsOf(changedListing(listingOf(...single), user, change)), after);
    // Storage was listed after the segment was stored, and before the rest was deleted.
    assert.deepEqual(runsOf(changedListing(listingOf(...single, segment), user, change)), after);
    // And after the rest was deleted.
    assert.deepEqual(runsOf(changedListing(listingOf(segment, nameOf(3)), user, change)), after);
  });

  it("lists the log where it knows other objects than were packed", () => {
    const single = [0, 1, 2].map((index) => nameOf(index));
    const change = packedChange(
      client,
      single.map((name) => runOf(name)),
      [runOf(nameOf(0, 2))],
    );
    const others = [
      listingOf(nameOf(0), nameOf(2)),
      listingOf(...single, nameOf(1, 1, "forked")),
      listingOf(nameOf(0, 0, "other"), nameOf(1), nameOf(2)),
      listingOf(),
    ];
    for (const listing of others) assert.equal(changedListing(listing, user, change), undefined);
  });

  it("lists the log for any text that it does not understand", () => {
    const run = [0, 0, 10, "0".repeat(32)];
    const texts = [
      UNKNOWN_CHANGE,
      "null",
      "{",
      "[]",
      JSON.stringify({ client, stored: [[0, 0, 10]] }),
      JSON.stringify({ client, stored: [[-1, 0, 10, "0".repeat(32)]] }),
      JSON.stringify({ client, stored: [[0, 0, 10, "x".repeat(32)]] }),
      JSON.stringify({ client, stored: [[1, 0, 10, "0".repeat(32)]] }),
      JSON.stringify({ client: "no client", stored: [run] }),
      JSON.stringify({ client, stored: [[0, 0, 1.5, "0".repeat(32)]] }),
      JSON.stringify({ client, holders: [run] }),
      JSON.stringify({ client, moved: [run] }),
    ];
    for (const text of texts)
      assert.equal(changedListing(listingOf(), user, text), undefined, text);
  });

  it("says nothing of a log that it does not know", () => {
    assert.equal(storedChange(undefined, client, { first: 0, last: 0 }), UNKNOWN_CHANGE);
    assert.equal(storedChange(listingOf(), client, { first: 0, last: 0 }), UNKNOWN_CHANGE);
  });
});
