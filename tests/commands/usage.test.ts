/** `sync-server usage`: what each user stores. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WrongArgument } from "../../commands/command.ts";
import { usage } from "../../commands/usage.ts";
import { formatMarker } from "../../oplog/names.ts";
import { openStorage } from "../../storage/open.ts";
import { jsonOf, onEachStorage, runCommand } from "../support/commands.ts";
import { temporaryFolder } from "../support/folder.ts";
import { storeEach, storeRun } from "../support/logs.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const NOTHING = new Uint8Array();

/** What it prints, without the times. */
async function countsOf(place: string) {
  const { code, objects } = await jsonOf(usage, place);
  const counts: Record<string, unknown>[] = JSON.parse(JSON.stringify(objects), (key, value) =>
    key === "lastWrite" ? undefined : value,
  );
  return { code, objects: counts };
}

onEachStorage("usage", ({ newPlace, open }) => {
  it("counts bytes, objects, operations and clients of each user, and in all", async () => {
    const place = newPlace();
    const storage = await open(place);
    const [small, large] = [someFingerprint(), someFingerprint()];
    await storeEach(storage, small, newClient(), ["one", "two"]);
    await storeEach(storage, large, newClient(), ["x".repeat(5000)]);
    const client = newClient();
    await storeRun(storage, large, client, 0, "a", "b", "c");
    // Packed, and not deleted yet: the operation counts once, and the object takes room.
    await storeRun(storage, large, client, 1, "b");
    await storage.put(formatMarker({ kind: "signed", user: large }), NOTHING);
    const { code, objects } = await countsOf(place);
    assert.equal(code, 0);
    const of = (user: string) => objects.find((one) => one.user === user);
    const bytes = Number(of(large)?.bytes);
    assert.deepEqual(of(small), {
      ...{ user: small, bytes: 6, objects: 2, operations: 2, clients: 1 },
      ...{ signed: false, erased: null },
    });
    assert.deepEqual(of(large), {
      ...{ user: large, bytes, objects: 4, operations: 4, clients: 2 },
      ...{ signed: true, erased: null },
    });
    assert.ok(bytes > 5001);
    const total = { users: 2, erased: 0, foreign: 0, bytes: bytes + 6 };
    assert.deepEqual(objects.at(-1), {
      total: { ...total, objects: 6, operations: 6, clients: 3 },
    });
    await storage.close();
  });

  it("shows what is stored while it is looked at again, and changes nothing", async () => {
    const place = newPlace();
    const storage = await open(place);
    const [user, client] = [someFingerprint(), newClient()];
    await storeRun(storage, user, client, 0, "one");
    const before = await runCommand(usage, place);
    assert.deepEqual(await runCommand(usage, place), before);
    await storeRun(storage, user, client, 1, "two");
    const { objects } = await jsonOf(usage, place);
    assert.equal(objects[0]?.operations, 2);
    await storage.close();
  });
});

describe("usage", () => {
  const folder = temporaryFolder();
  it("finds users by how their fingerprints begin, and shortens these unless --full is given", async () => {
    const storage = await openStorage(folder.path);
    const users = [someFingerprint(), someFingerprint(), someFingerprint()];
    for (const [i, user] of users.entries()) {
      await storeEach(storage, user, newClient(), Array(i + 1).fill("one"));
    }
    const [first = "", , third = ""] = users;
    for (const user of [first, first.slice(0, 8)]) {
      const { code, lines } = await runCommand(usage, folder.path, { user });
      assert.equal(code, 0);
      assert.equal(lines.length, 3, lines.join("\n"));
      assert.ok(lines[1]?.startsWith(`${first.slice(0, 8)}… `), lines[1]);
      assert.ok(!lines.join().includes(first));
    }
    const full = await runCommand(usage, folder.path, { user: first, full: "" });
    assert.ok(full.lines[1]?.startsWith(`${first} `), full.lines[1]);
    const top = await jsonOf(usage, folder.path, { top: "1" });
    assert.deepEqual(
      top.objects.map(({ user }) => user),
      [third, undefined],
    );
    const nobody = await jsonOf(usage, folder.path, { user: someFingerprint() });
    assert.equal(nobody.code, 1);
    await storage.close();
    folder.remove();
  });

  it("shows when a user was erased, and what of it is still stored", async () => {
    const place = temporaryFolder();
    const storage = await openStorage(place.path);
    const user = someFingerprint();
    await storeEach(storage, user, newClient(), ["left over"]);
    await storage.put(formatMarker({ kind: "erased", user, at: 1_800_000_000 }), NOTHING);
    const { objects } = await jsonOf(usage, place.path);
    assert.deepEqual(objects[0], {
      ...{ user, bytes: 9, objects: 2, operations: 0, clients: 0 },
      ...{ signed: false, erased: "2027-01-15T08:00:00.000Z" },
      lastWrite: null,
    });
    await storage.close();
    place.remove();
  });

  it("refuses values that mean nothing", async () => {
    for (const given of [{ top: "0" }, { top: "many" }, { user: "no.one" }]) {
      await assert.rejects(runCommand(usage, "./data", given), WrongArgument);
    }
  });

  it("neither creates a folder nor takes one that is not there for empty", async () => {
    await assert.rejects(runCommand(usage, `${folder.path}/missing`), /could not open the storage/);
    await assert.rejects(runCommand(usage, "memory:"), /memory: is empty/);
  });
});
