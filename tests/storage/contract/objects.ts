/** What a driver keeps, lists and deletes, while nothing fails. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { formatName } from "../../../oplog/names.ts";
import { md5Of, ObjectMissing, StorageUnavailable } from "../../../storage/driver.ts";
import { sameMd5 } from "../../support/collision.ts";
import { newClient, someFingerprint } from "../../support/users.ts";
import { type Declare, text } from "./place.ts";

const DAY = 24 * 3600 * 1000;

export function declareObjects(it: Declare): void {
  it("returns the bytes that were put", async ({ driver }) => {
    const user = someFingerprint();
    const bodies = {
      everyByte: Uint8Array.from({ length: 256 }, (_, i) => i),
      none: new Uint8Array(0),
      one: Uint8Array.of(0),
      lineEnds: text("\r\n\n\r\0\n"),
      notUtf8: Uint8Array.of(0xff, 0xfe, 0xc0, 0x80),
      byteOrderMark: text("\ufeffpayload"),
      large: Uint8Array.from(randomBytes(3_000_000)),
    };
    for (const [key, body] of Object.entries(bodies)) await driver.put(`${user}.${key}`, body);
    for (const [key, body] of Object.entries(bodies)) {
      assert.deepEqual(Buffer.from(await driver.get(`${user}.${key}`)), Buffer.from(body), key);
    }
  });

  it("keeps its own copy: a buffer that is reused after the put changes nothing", async ({
    driver,
  }) => {
    const user = someFingerprint();
    const body = text("first");
    await driver.put(`${user}.a`, body);
    body.fill(0);
    assert.deepEqual(Buffer.from(await driver.get(`${user}.a`)), Buffer.from("first"));
  });

  it("lists names in byte order, each with its size, whatever order they came in", async ({
    driver,
  }) => {
    const user = someFingerprint();
    const endings = [
      ".b",
      ".a",
      ".B",
      ".A",
      ".0",
      ".-",
      "._",
      "._.z",
      ".a.b",
      ".a-b",
      ".aa",
      ".Z9",
    ];
    for (const [i, ending] of endings.entries()) {
      await driver.put(user + ending, new Uint8Array(i));
    }
    const expected = endings
      .map((ending, i) => ({ name: user + ending, size: i }))
      .sort((x, y) => Buffer.compare(Buffer.from(x.name), Buffer.from(y.name)));
    assert.deepEqual(await driver.list(`${user}.`), expected);
  });

  it("lists the names that begin with the prefix, and no other", async ({ driver, names }) => {
    const user = someFingerprint();
    for (const ending of ["a.b", "a.b.c", "a.bc", "a.bc.d", "ab.c"]) {
      await driver.put(`${user}.${ending}`, text(ending));
    }
    const under = async (prefix: string) =>
      (await names(`${user}.${prefix}`)).map((name) => name.slice(user.length + 1));
    assert.deepEqual(await under("a.bc"), ["a.bc", "a.bc.d"]);
    assert.deepEqual(await under("a.b."), ["a.b.c"]);
    assert.deepEqual(await under("a.b"), ["a.b", "a.b.c", "a.bc", "a.bc.d"]);
    assert.deepEqual(await under("a"), ["a.b", "a.b.c", "a.bc", "a.bc.d", "ab.c"]);
    assert.deepEqual(await under("b"), []);
  });

  it("lists by a prefix that ends inside a partition, and by one that is a partition", async ({
    driver,
    names,
  }) => {
    const user = someFingerprint();
    const sibling = `${user.slice(0, 42)}${user.endsWith("A") ? "B" : "A"}`;
    await driver.put(`${user}.x`, text("x"));
    await driver.put(`${sibling}.x`, text("x"));
    assert.deepEqual(await names(user.slice(0, 42)), [`${user}.x`, `${sibling}.x`].sort());
    assert.deepEqual(await names(user), [`${user}.x`]);
  });

  it("lists nothing where there is nothing", async ({ driver }) => {
    assert.deepEqual(await driver.list(`${someFingerprint()}.`), []);
  });

  it("accepts names of 1 to 255 characters", async ({ driver, names }) => {
    const user = someFingerprint();
    const long = `${user}.`.padEnd(255, "x");
    const short = user.slice(0, 1);
    await driver.put(long, text("long"));
    await driver.put(short, text("short"));
    assert.deepEqual(Buffer.from(await driver.get(long)), Buffer.from("long"));
    assert.deepEqual(Buffer.from(await driver.get(short)), Buffer.from("short"));
    assert.deepEqual(await names(`${user}.`), [long]);
    await driver.delete(short);
  });

  it("refuses names that could lead out of its storage", async ({ driver }) => {
    const refused = ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "a\0b", "ä", "x".repeat(256)];
    for (const name of refused) {
      await assert.rejects(driver.put(name, text("x")), TypeError, JSON.stringify(name));
    }
  });

  it("replaces a damaged body by the one that its MD5 names", async ({ driver, names }) => {
    const user = someFingerprint();
    const md5 = md5Of(text("whole"));
    const name = formatName({ user, client: newClient(), first: 0, last: 0, md5 });
    for (const damaged of ["WHOLE", "who", "", "whole and more"]) {
      await driver.delete(name);
      await driver.put(name, text(damaged));
      await driver.put(name, text("whole"), { md5 });
      assert.deepEqual(Buffer.from(await driver.get(name)), Buffer.from("whole"));
      assert.deepEqual(await names(`${user}.`), [name]);
    }
  });

  it("leaves an object as it is when its name is put again", async ({ driver }) => {
    const [user, client] = [someFingerprint(), newClient()];
    const md5 = md5Of(text("first"));
    const name = formatName({ user, client, first: 0, last: 0, md5 });
    await driver.put(name, text("first"), { md5 });
    await driver.put(name, text("first"), { md5 });
    await driver.put(name, text("first"));
    // Not the body that the name stands for: ignored, or refused.
    await driver.put(name, text("second, longer"), { md5 }).catch((error: unknown) => {
      assert.ok(error instanceof StorageUnavailable, String(error));
    });
    assert.deepEqual(Buffer.from(await driver.get(name)), Buffer.from("first"));
    assert.deepEqual(await driver.list(name), [{ name, size: 5 }]);
  });

  it("replaces no body by another with the same MD5, unless every put replaces what is stored", async ({
    driver,
  }) => {
    const user = someFingerprint();
    const [one, other] = [text(sameMd5[0]), text(sameMd5[1])];
    const md5 = md5Of(one);
    const bodyOf = async (name: string) => Buffer.from(await driver.get(name)).toString();
    await driver.put(`${user}.kept`, text("first"));
    await driver.put(`${user}.kept`, text("other"));
    // S3 without conditional writes cannot tell.
    if ((await bodyOf(`${user}.kept`)) === "other") return;
    const name = formatName({ user, client: newClient(), first: 0, last: 0, md5 });
    await driver.put(name, one, { md5 });
    await driver.put(name, one, { md5 });
    // A put that is ignored would be acknowledged.
    await assert.rejects(driver.put(name, other, { md5 }), StorageUnavailable);
    assert.equal(await bodyOf(name), sameMd5[0]);
  });

  it("gets a whole object whatever size the caller passes", async ({ driver }) => {
    const name = `${someFingerprint()}.a`;
    const body = new Uint8Array(200_000).map((_, i) => i % 251);
    await driver.put(name, body);
    for (const size of [undefined, 0, 1, 199_999, 200_000, 200_001, 10_000_000]) {
      assert.deepEqual(Buffer.from(await driver.get(name, size)), Buffer.from(body), `${size}`);
      await assert.rejects(driver.get(`${name}.missing`, size), ObjectMissing);
    }
  });

  it("ends concurrent puts of one name with one whole object", async ({ driver }) => {
    const name = `${someFingerprint()}.a`;
    const bodies = Array.from({ length: 16 }, (_, i) => new Uint8Array(100_000).fill(i));
    await Promise.all(bodies.map((body) => driver.put(name, body)));
    const stored = Buffer.from(await driver.get(name));
    assert.ok(bodies.some((body) => stored.equals(body)));
    assert.deepEqual(await driver.list(name), [{ name, size: 100_000 }]);
  });

  it("never lists a half-written object or another name", async ({ driver, names }) => {
    const user = someFingerprint();
    const wanted = Array.from({ length: 64 }, (_, i) => `${user}.${i}`);
    let putting = true;
    const puts = Promise.all(wanted.map((name) => driver.put(name, new Uint8Array(200_000))));
    const done = puts.finally(() => {
      putting = false;
    });
    while (putting) {
      for (const { name, size } of await driver.list(user)) {
        assert.ok(wanted.includes(name), name);
        assert.equal(size, 200_000);
        assert.equal((await driver.get(name)).byteLength, 200_000);
      }
    }
    await done;
    assert.deepEqual(await names(user), wanted.toSorted());
  });

  it("lists all earlier objects while others are put and deleted", async ({ driver, names }) => {
    const user = someFingerprint();
    const kept = Array.from({ length: 50 }, (_, i) => `${user}.kept.${100 + i}`);
    for (const name of kept) await driver.put(name, text("kept"));
    const others = Array.from({ length: 50 }, (_, i) => `${user}.other.${100 + i}`);
    const changes = Promise.all(
      others.map(async (name) => {
        await driver.put(name, text("other"));
        await driver.delete(name);
      }),
    );
    for (let i = 0; i < 5; i++) {
      assert.deepEqual(
        (await names(user)).filter((name) => name.includes(".kept.")),
        kept,
      );
    }
    await changes;
    assert.deepEqual(await names(user), kept);
  });

  it("throws ObjectMissing for an object that was never put, or was deleted", async ({
    driver,
    names,
  }) => {
    const user = someFingerprint();
    await assert.rejects(driver.get(`${user}.never`), ObjectMissing);
    await driver.put(`${user}.gone`, text("x"));
    await driver.put(`${user}.stays`, text("x"));
    await driver.delete(`${user}.gone`);
    await assert.rejects(driver.get(`${user}.gone`), ObjectMissing);
    assert.deepEqual(await names(user), [`${user}.stays`]);
    await driver.put(`${user}.gone`, text("again"));
    assert.deepEqual(Buffer.from(await driver.get(`${user}.gone`)), Buffer.from("again"));
  });

  it("shows when an object was stored, if it knows that, and the same each time", async ({
    driver,
  }) => {
    const user = someFingerprint();
    const [name, copied] = [`${user}.a`, `${user}.b`];
    await driver.put(name, text("a"));
    const before = await driver.list(user, true);
    const first = Date.UTC(2024, 1, 29, 12, 30, 15, 250);
    await driver.put(copied, text("copied"), { storedAt: first });
    const after = await driver.list(user, true);
    assert.deepEqual(after.slice(0, 1), before);
    const plain = after.map(({ name, size }) => ({ name, size }));
    assert.deepEqual(plain, await driver.list(user));
    const [{ storedAt } = assert.fail(), copy] = after;
    if (storedAt === undefined) return;
    // Clocks differ.
    assert.ok(Math.abs(storedAt - Date.now()) < DAY, `${storedAt} is not now`);
    // Of a copy, that of the first one or its own.
    const copiedAt = copy?.storedAt ?? 0;
    assert.ok(copiedAt >= first, `${copiedAt} is before ${first}`);
    assert.ok(copiedAt < first + 1000 || copiedAt >= storedAt, `${copiedAt} is neither`);
  });

  it("deletes a name that does not exist without an error", async ({ driver }) => {
    await driver.delete(`${someFingerprint()}.never`);
  });
}
