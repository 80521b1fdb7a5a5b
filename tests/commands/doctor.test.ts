/** `sync-server doctor`: what it says of a server, and of a storage. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { WrongArgument } from "../../commands/command.ts";
import { CHANGES, changesFor } from "../../commands/doctor/advice.ts";
import type { Check } from "../../commands/doctor/check.ts";
import { doctor } from "../../commands/doctor/doctor.ts";
import { certificateOf, lookFromOutside } from "../../commands/doctor/outside.ts";
import { syncUrlOf } from "../../commands/server-address.ts";
import { checkRoom, checkStorage } from "../../server/checkup/storage-checks.ts";
import { StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { openStorage } from "../../storage/open.ts";
import { onEachStorage, runCommand } from "../support/commands.ts";
import { examine, wrongIn } from "../support/doctor.ts";
import { HookedDriver } from "../support/drivers.ts";
import { temporaryFolder } from "../support/folder.ts";
import { serveHere, withServer } from "../support/http.ts";
import { portOf } from "../support/ports.ts";

const folder = temporaryFolder();
after(() => folder.remove());

describe("doctor, on a server", () => {
  it("finds nothing to change where devices reach it directly, and stores nothing", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const settings = { MAX_WAIT: "1s", MAX_BODY: "1MiB" };
    await withServer(
      settings,
      async ({ url }) => {
        const { code, levels, words } = await examine(url);
        assert.equal(code, 0, JSON.stringify(words));
        const { tls, open, ...others } = levels;
        assert.deepEqual([tls, open], ["note", "note"]);
        assert.deepEqual(new Set(Object.values(others)), new Set(["ok"]));
        const looked = ["answer", "host", "trusted", "clock", "buffering", "body", "time"];
        for (const topic of looked) assert.ok(topic in others, topic);
        assert.match(words.body ?? "", /^MAX_BODY, 1048576 bytes, arrives$/);
        assert.equal(driver.count("put") + driver.count("list"), 0);
        const quick = await examine(url, { quick: "" });
        assert.ok(!("body" in quick.levels) && !("time" in quick.levels));
      },
      driver,
    );
  });

  it("notices PUBLIC_URL that is another address, and a made-up X-Forwarded-For that is believed", async () => {
    const settings = {
      PUBLIC_URL: "https://sync.example/app",
      TRUSTED_PROXIES: "127.0.0.1,::1",
      MAX_WAIT: "0",
      MAX_BODY: "64KiB",
    };
    await withServer(settings, async ({ url }) => {
      const { code, levels, words } = await examine(url);
      assert.equal(code, 1);
      assert.deepEqual(wrongIn(levels), ["host", "spoofed"]);
      assert.equal(words.host, "signatures are checked for sync.example/app/sync");
      assert.equal(levels.time, "note");
    });
  });

  it("notices a clock that is off", async () => {
    const { url, close } = await serveHere({ MAX_WAIT: "0" });
    const clockOf = async (ahead: number) => {
      const time = () => Date.now() - ahead * 1000;
      for await (const check of lookFromOutside(syncUrlOf(url), { quick: true, time })) {
        if (check.topic === "clock") return check;
      }
      return undefined;
    };
    const [late, early] = [await clockOf(400), await clockOf(-60)];
    assert.equal(late?.level, "wrong");
    assert.match(late?.what ?? "", /^the server's is (399|400|401) s ahead of this one$/);
    assert.equal(early?.level, "note");
    await close();
  });

  it("finds a certificate that was not renewed in time, however long it is valid", () => {
    const day = 86_400_000;
    const now = 1000 * day;
    const levelOf = (days: number, left: number) => {
      const valid = { from: now - (days - left) * day, until: now + left * day };
      const { level, what } = certificateOf(valid, now);
      return `${level} ${what}`;
    };
    assert.equal(levelOf(90, 30), "ok it is valid for 30 days");
    assert.equal(levelOf(90, 13), "wrong it is valid for 13 days");
    // As Caddy's own authority makes them, and Let's Encrypt for those who ask for it.
    assert.equal(levelOf(0.5, 0.25), "ok it is valid for 6 hours");
    assert.equal(levelOf(6, 2), "ok it is valid for 2 days");
    assert.equal(levelOf(6, 1), "wrong it is valid for 1 day");
  });

  it("says that no Sync-Server answers, of what is none and of what is not there", async () => {
    const other = http.createServer((_, response) => response.end("hello")).listen(0, "127.0.0.1");
    await once(other, "listening");
    const port = portOf(other);
    const none = await examine(`http://127.0.0.1:${port}`);
    assert.deepEqual([none.code, wrongIn(none.levels)], [1, ["answer"]]);
    other.close();
    await once(other, "close");
    const gone = await examine(`http://127.0.0.1:${port}`);
    assert.deepEqual([gone.code, wrongIn(gone.levels)], [1, ["answer"]]);
  });

  it("refuses what is no address and no storage", async () => {
    for (const place of ["ftp://host", "memory:", "http://", "http://host/?a"]) {
      await assert.rejects(runCommand(doctor, place, {}, [place]), WrongArgument);
    }
    await assert.rejects(runCommand(doctor, "", {}, []), WrongArgument);
  });
});

onEachStorage("doctor", ({ newPlace, open }) => {
  it("finds a storage in order, measures it, and leaves nothing in it", async () => {
    const place = newPlace();
    const storage = await open(place);
    const { code, levels, words } = await examine(place);
    assert.notEqual(code, 2);
    assert.deepEqual([levels.storage, levels.consistency], ["ok", "ok"], JSON.stringify(words));
    assert.ok([undefined, "ok"].includes(levels.clock), words.clock);
    assert.match(words.slow ?? "", /^a delete takes [\d.]+ ms at the median, [\d.]+ ms at 95%$/);
    assert.deepEqual(await storage.list(""), []);
    await storage.close();
  });
});

describe("doctor, on a storage", () => {
  const looked = async (storage: MemoryDriver | HookedDriver) => {
    const checks: Check[] = [];
    for await (const check of checkStorage(storage)) checks.push(check);
    return checks;
  };

  it("names the call that is refused", async () => {
    for (const kind of ["put", "list", "get", "delete"] as const) {
      const storage = new HookedDriver(new MemoryDriver());
      storage.before = (call) => {
        if (call.kind === kind) throw new StorageUnavailable("access is refused");
      };
      const [check] = await looked(storage);
      assert.deepEqual(check, {
        topic: "storage",
        level: "wrong",
        what: `${kind}: access is refused`,
      });
    }
  });

  it("names what is not there, or not listed, right after it was stored", async () => {
    const late = new (class extends MemoryDriver {
      override async list() {
        return [];
      }
    })();
    const inconsistent = (await looked(late)).find(({ topic }) => topic === "consistency");
    assert.deepEqual(
      [inconsistent?.level, inconsistent?.what],
      ["wrong", "an object that was stored is not listed"],
    );
    const kept = new (class extends MemoryDriver {
      override async delete(): Promise<void> {
        // It keeps everything.
      }
    })();
    const still = (await looked(kept)).find(({ topic }) => topic === "consistency");
    assert.match(still?.what ?? "", /deleted is listed; an object that was deleted is there$/);
  });

  it("compares the clock with that of a storage that has its own", async () => {
    const clockAt = async (offset: number) => {
      const storage = Object.assign(new MemoryDriver(), { clockOffset: () => offset });
      const { level, what } = (await looked(storage)).find(({ topic }) => topic === "clock") ?? {};
      return [level, what];
    };
    const [behind, ahead] = ["behind that of the storage", "ahead of that of the storage"];
    assert.deepEqual(await clockAt(900), ["ok", `this machine's is 1 s ${behind}`]);
    assert.deepEqual(await clockAt(-40_000), ["note", `this machine's is 40 s ${ahead}`]);
    assert.deepEqual(await clockAt(300_000), ["wrong", `this machine's is 300 s ${behind}`]);
    assert.ok((await looked(new MemoryDriver())).every(({ topic }) => topic !== "clock"));
  });

  it("says how much room there is, and when that is little", async () => {
    const roomIn = async (free: number, freeFiles: number | undefined) => {
      const room = async () => ({ free, size: 100 * 2 ** 30, freeFiles });
      const checks: Check[] = [];
      for await (const check of checkRoom({ room })) checks.push(check);
      return checks.map(({ level, what }) => `${level} ${what}`);
    };
    assert.deepEqual(await roomIn(2 ** 34, undefined), ["ok 16.0 GiB of 100 GiB are free"]);
    assert.deepEqual(await roomIn(2 ** 30, 9_999), [
      "wrong The disk has 1.0 GiB of 100 GiB left.",
      "wrong The file system has fewer than 10 000 inodes left.",
    ]);
    for await (const check of checkRoom({ room: undefined })) assert.fail(check.what);
  });

  it("makes no folder where there is none", async () => {
    const missing = join(folder.path, "missing");
    await assert.rejects(examine(missing), /could not open the storage folder/);
    await assert.rejects(examine(missing), /could not open the storage folder/);
  });

  it("says in one line or more what to change, of each topic", async () => {
    for (const topic of ["body", "clock"] as const) {
      assert.ok(changesFor(topic).length >= 1);
    }
    assert.deepEqual(
      changesFor("body")
        .slice(1)
        .map((line) => line.split(":")[0]),
      ["  nginx", "  Caddy", "  Traefik"],
    );
    assert.ok(Object.keys(CHANGES).length > 10);
    await (await openStorage(join(folder.path, "made"))).close();
    const { lines } = await runCommand(doctor, join(folder.path, "made"), {}, [
      join(folder.path, "made"),
    ]);
    assert.match(lines[0] ?? "", /^ok {4}storage {6}it stores, lists, reads and deletes$/);
  });
});
