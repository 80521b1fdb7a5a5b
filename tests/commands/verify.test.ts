/** `sync-server verify`: finds what is damaged or missing, and nothing else. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { WrongArgument } from "../../commands/command.ts";
import { verify } from "../../commands/verify/verify.ts";
import { formatFloor, formatMarker, formatSnapshot } from "../../oplog/names.ts";
import { type Driver, md5Of } from "../../storage/driver.ts";
import { openStorage } from "../../storage/open.ts";
import { jsonOf, onEachStorage, runCommand } from "../support/commands.ts";
import { temporaryFolder } from "../support/folder.ts";
import { processOn, storeEach, storeRun } from "../support/logs.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const OTHER_BYTES = new TextEncoder().encode("other bytes");

/** A user with ten operations that are an object each, and three in a segment. */
async function storeLog(storage: Driver) {
  const [user, client] = [someFingerprint(), newClient()];
  await storeEach(
    storage,
    user,
    client,
    Array.from({ length: 10 }, (_, i) => `payload ${i}`),
  );
  const segment = await storeRun(storage, user, client, 10, "ten", "eleven", "twelve");
  const names = (await storage.list(`${user}.`)).map(({ name }) => name);
  return { user, client, names, segment };
}

/** Puts other bytes in the place of an object. */
async function damage(storage: Driver, name: string): Promise<void> {
  await storage.delete(name);
  await storage.put(name, OTHER_BYTES);
}

onEachStorage("verify", ({ newPlace, open }) => {
  it("finds nothing in what a server has stored, and reads all of it", async () => {
    const place = newPlace();
    const storage = await open(place);
    await storeLog(storage);
    await storeLog(storage);
    const { code, objects } = await jsonOf(verify, place);
    assert.equal(code, 0);
    assert.equal(objects.length, 1);
    const { bytes, ...looked } = Object(objects[0]?.looked);
    assert.deepEqual(looked, { users: 2, objects: 22, read: 22, overlapping: 0, leftovers: 0 });
    assert.ok(bytes > 0);
    await storage.close();
  });

  it("names damaged objects, single operations and segments", async () => {
    const place = newPlace();
    const storage = await open(place);
    const { user, client, names, segment } = await storeLog(storage);
    const [, , , single = ""] = names;
    await damage(storage, single);
    await damage(storage, segment);
    const { code, objects } = await jsonOf(verify, place);
    assert.equal(code, 1);
    const places = objects.slice(0, 2).map(({ finding, object, first, last, ...rest }) => ({
      ...{ finding, object, first, last, user: rest.user, client: rest.client },
    }));
    assert.deepEqual(places, [
      { finding: "damaged", object: single, first: 3, last: 3, user, client },
      { finding: "damaged", object: segment, first: 10, last: 12, user, client },
    ]);
    assert.match(String(objects[0]?.what), /does not have the checksum that its name says$/);
    assert.match(String(objects[0]?.advice), /from a backup/);
    assert.equal(objects.length, 3);
    const one = await jsonOf(verify, place, { user: someFingerprint() });
    assert.equal(one.code, 2, "nobody was looked at");
    await storage.close();
  });

  it("names damaged snapshots, and takes whole ones and floors for what they are", async () => {
    const place = newPlace();
    const storage = await open(place);
    const { user, client } = await storeLog(storage);
    const body = new TextEncoder().encode("{}");
    const at = 1_800_000_000;
    const name = formatSnapshot({ user, at, client, index: 9, md5: md5Of(body) });
    await storage.put(name, body);
    await storage.put(formatFloor({ user, client, index: 3, at }), new Uint8Array());
    assert.equal((await runCommand(verify, place)).code, 0);
    await damage(storage, name);
    const { code, lines } = await runCommand(verify, place, { full: "" });
    assert.equal(code, 1);
    assert.match(lines[0] ?? "", /^damaged: the snapshot at operation 9 of client /);
    assert.ok(lines[0]?.includes(name));
    await storage.close();
  });

  it("says that nothing is lost where another object holds what a damaged one did", async () => {
    const place = newPlace();
    const storage = await open(place);
    const { user, client, names } = await storeLog(storage);
    const payloads = Array.from({ length: 10 }, (_, i) => `payload ${i}`);
    await storeRun(storage, user, client, 0, ...payloads);
    assert.equal((await runCommand(verify, place)).code, 0, "packed objects are no fork");
    await damage(storage, names[4] ?? "");
    const { code, lines } = await runCommand(verify, place);
    assert.equal(code, 1);
    assert.match(lines[0] ?? "", /^damaged: operation 4 .* and nothing is lost$/);
    await storage.close();
  });

  it("names holes", async () => {
    const place = newPlace();
    const storage = await open(place);
    const { client, names } = await storeLog(storage);
    for (const name of names.slice(5, 7)) await storage.delete(name);
    await storage.delete(names[8] ?? "");
    const { code, objects } = await jsonOf(verify, place);
    assert.equal(code, 1);
    const holes = objects.filter(({ finding }) => finding === "hole");
    assert.deepEqual(
      holes.map((hole) => [hole.client, hole.first, hole.last]),
      [
        [client, 5, 6],
        [client, 8, 8],
      ],
    );
    assert.equal(objects.length, 3);
    await storage.close();
  });

  it("names forks, of objects and within segments", async () => {
    const place = newPlace();
    const storage = await open(place);
    const { user, client } = await storeLog(storage);
    await storeRun(storage, user, client, 2, "another payload");
    await storeRun(storage, user, client, 11, "another eleven");
    const { code, objects } = await jsonOf(verify, place);
    assert.equal(code, 1);
    const forks = objects.filter(({ finding }) => finding === "fork");
    assert.deepEqual(
      forks.map(({ first, last }) => [first, last]),
      [
        [2, 2],
        [11, 11],
      ],
    );
    assert.equal(objects.length, 3);
    await storage.close();
  });

  it("names objects that are none of the server's, of a user and of nobody", async () => {
    const place = newPlace();
    const storage = await open(place);
    const { user } = await storeLog(storage);
    const names = [`${user}.notes.txt`, "README.txt"];
    for (const name of names) await storage.put(name, OTHER_BYTES);
    const { code, objects } = await jsonOf(verify, place);
    assert.equal(code, 1);
    const foreign = objects.filter(({ finding }) => finding === "foreign");
    assert.deepEqual(foreign.map(({ object }) => object).sort(), names.sort());
    assert.equal(objects.length, 3);
    await storage.close();
  });

  it("finds nothing wrong while a server appends, packs and deletes", async () => {
    const place = newPlace();
    const storage = await open(place);
    const server = processOn(storage, Number.POSITIVE_INFINITY);
    const users = Array.from({ length: 3 }, () => ({
      user: someFingerprint(),
      client: newClient(),
    }));
    let running = true;
    const work = (async () => {
      for (let index = 0; running; index++) {
        for (const { user, client } of users) {
          await server.log.append(user, client, index, [`payload ${index} `.repeat(20)]);
          if (index % 5 === 4) await server.compactor.compact(user);
        }
      }
    })();
    let looks = 0;
    try {
      while (looks < 5 || server.telemetry.value("compaction", "deleted") === 0) {
        const { code, lines } = await runCommand(verify, place);
        assert.equal(code, 0, lines.join("\n"));
        looks++;
      }
    } finally {
      running = false;
      await work;
      await server.compactor.stop();
      await storage.close();
    }
  });
});

describe("verify", () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  it("names damaged journals, and the bytes in them", async () => {
    const place = join(folder.path, "journal");
    const storage = await openStorage(place);
    await storeLog(storage);
    await storage.close();
    assert.equal((await runCommand(verify, place)).code, 0);
    const journals = join(place, ".journal");
    const [name = ""] = readdirSync(journals).filter((entry) => entry.endsWith(".journal"));
    const bytes = readFileSync(join(journals, name));
    bytes.write("PAYLOAD 4", bytes.indexOf("payload 4"));
    writeFileSync(join(journals, name), bytes);
    const { code, objects } = await jsonOf(verify, place);
    assert.equal(code, 1);
    const found = objects.find(({ finding }) => finding === "journal");
    assert.equal(found?.journal, name);
    assert.ok(Number(found?.offset) < bytes.indexOf("PAYLOAD 4"));
    const hole = objects.find(({ finding }) => finding === "hole");
    assert.deepEqual([hole?.first, hole?.last], [4, 4]);
  });

  it("reads a part of the objects with --sample, and looks at all names", async () => {
    const place = join(folder.path, "sample");
    const storage = await openStorage(place, undefined, { journal: false });
    const [user, client] = [someFingerprint(), newClient()];
    await storeEach(storage, user, client, Array(400).fill("one"));
    const whole = await jsonOf(verify, place, { sample: "10%" });
    const { read, objects } = Object(whole.objects.at(-1)?.looked);
    assert.equal(objects, 400);
    // Fewer than one in a million samples is outside.
    assert.ok(read > 5 && read < 100, `${read} objects were read`);
    const [{ name } = { name: "" }] = await storage.list(`${user}.`);
    await storage.delete(name);
    assert.equal((await jsonOf(verify, place, { sample: "0.001%" })).code, 1, "the hole is found");
    for (const sample of ["0%", "101%", "5", "few"]) {
      await assert.rejects(runCommand(verify, place, { sample }), WrongArgument);
    }
    await storage.close();
  });

  it("does not look for operations of users who have left", async () => {
    const place = join(folder.path, "erased");
    const storage = await openStorage(place);
    const { user, names } = await storeLog(storage);
    await storage.delete(names[3] ?? "");
    await storage.put(formatMarker({ kind: "erased", user, at: 1_800_000_000 }), new Uint8Array());
    const { code, lines } = await runCommand(verify, place);
    assert.equal(code, 0);
    assert.match(lines.at(-1) ?? "", /10 of erased users and not deleted yet: all is whole$/);
    await storage.close();
  });

  it("shortens fingerprints and client ids, also within names, unless --full is given", async () => {
    const place = join(folder.path, "names");
    const storage = await openStorage(place);
    const { user, client, names } = await storeLog(storage);
    await damage(storage, names[0] ?? "");
    const short = await runCommand(verify, place);
    assert.ok(
      short.lines[0]?.includes(`${user.slice(0, 8)}….${client.slice(0, 8)}….0000000000000000.`),
    );
    assert.ok(!short.lines.join().includes(user) && !short.lines.join().includes(client));
    const full = await runCommand(verify, place, { full: "" });
    assert.ok(full.lines[0]?.includes(names[0] ?? " "));
    await storage.close();
  });

  it("does not take a segment for whole by the CRC-32 in its name alone", async () => {
    const place = join(folder.path, "crc");
    const storage = await openStorage(place, undefined, { journal: false });
    const { segment } = await storeLog(storage);
    const body = await storage.get(segment);
    const [, crc32 = ""] = /\.([0-9a-f]{8})$/.exec(segment) ?? [];
    const wrong = segment.replace(`${md5Of(body)}.${crc32}`, `${"0".repeat(32)}.${crc32}`);
    await storage.delete(segment);
    await storage.put(wrong, body);
    const { code, objects } = await jsonOf(verify, place);
    assert.equal(code, 1);
    assert.equal(objects[0]?.object, wrong);
    await storage.close();
  });
});
