/** Journals on a disk that is full: deletes make room, in room that is kept for them. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parseMarker } from "../../../oplog/names.ts";
import { StorageFull } from "../../../storage/driver.ts";
import { openStorage } from "../../../storage/open.ts";
import {
  cannotMount,
  fill,
  type Mounted,
  mountExt4,
  mountMemory,
  onMounted,
} from "../../support/mounts.ts";
import { inProcessServer, twoSigningUsers } from "../../support/signing.ts";
import { newClient, someFingerprint } from "../../support/users.ts";

const disks: readonly { disk: string; mount: () => Mounted; begin: (path: string) => void }[] = [
  {
    disk: "a full ext4",
    mount: () => mountExt4("8M"),
    begin: (path) => {
      fill(path, 4096);
      fill(path, 1);
    },
  },
  {
    disk: "a file system that has no inodes left",
    mount: () => mountMemory("size=2m,nr_inodes=64"),
    begin: (path) => fill(path, 0),
  },
];

for (const { disk, mount, begin } of disks) {
  const skip = cannotMount(mount);
  describe(`a journal on ${disk}${skip === false ? "" : ` (skipped: ${skip})`}`, { skip }, () => {
    it("takes deletes, and what they end stays deleted after a restart", () =>
      onMounted(mount, async ({ path }) => {
        const root = join(path, "data");
        const user = someFingerprint();
        const driver = await openStorage(root);
        const names = Array.from({ length: 20 }, (_, i) => `${user}.${i}`);
        for (const name of names) await driver.put(name, Buffer.alloc(500, name));
        const other = await openStorage(root);
        begin(path);
        const filler = async () => {
          for (let i = 0; ; i++) await driver.put(`${someFingerprint()}.${i}`, Buffer.alloc(4000));
        };
        await assert.rejects(filler, StorageFull);
        const [kept = "", ...deleted] = names;
        for (const [i, name] of deleted.entries()) {
          await driver.delete(name);
          // The room that is kept has its size before anything is written to it.
          assert.equal((await other.list(user)).length, names.length - i - 1);
        }
        await other.close();
        assert.deepEqual(
          (await driver.list(user)).map(({ name }) => name),
          [kept],
        );
        const again = await openStorage(root, () => undefined);
        assert.deepEqual(
          (await again.list(user)).map(({ name }) => name),
          [kept],
        );
        assert.deepEqual(await again.get(kept), Buffer.alloc(500, kept));
        await driver.close();
        await again.close();
      }));

    it("T-31 is emptied by a user who leaves, which makes room for others", () =>
      onMounted(mount, async ({ path }) => {
        const root = join(path, "data");
        const driver = await openStorage(root);
        const { signed, erase } = inProcessServer({ COMPACTION: "off" }, driver, {
          time: Date.now,
        });
        const [user, other] = await twoSigningUsers();
        const client = newClient();
        const payload = "p".repeat(10_000);
        for (let index = 0; index < 5; index++) {
          const append = { client_id: client, operation_index: index, payload };
          assert.equal((await signed(user, append)).status, 200);
        }
        begin(path);
        const lone = newClient();
        let next = 0;
        for (let status = 200; status === 200; ) {
          const append = { client_id: lone, operation_index: next++, payload };
          ({ status } = await signed(other, append));
          if (status !== 200) assert.equal(status, 503);
        }
        assert.equal((await erase(user)).status, 204);
        assert.deepEqual(
          (await driver.list(user.fingerprint)).map(({ name }) => parseMarker(name)?.kind),
          ["erased"],
        );
        await driver.close();
      }));

    it("takes no delete where nothing is kept for it, and does not pretend to", () =>
      onMounted(mount, async ({ path }) => {
        const root = join(path, "data");
        const driver = await openStorage(root);
        const name = `${someFingerprint()}.kept`;
        await driver.put(name, Buffer.alloc(500, 1));
        rmSync(join(root, ".tmp", "journal-reserve"));
        begin(path);
        const filler = async () => {
          for (let i = 0; ; i++) await driver.put(`${someFingerprint()}.${i}`, Buffer.alloc(4000));
        };
        await assert.rejects(filler, StorageFull);
        const again = await openStorage(root, () => undefined);
        rmSync(join(root, ".tmp", "journal-reserve"), { force: true });
        begin(path);
        await assert.rejects(async () => driver.delete(name), StorageFull);
        assert.equal((await again.list(name)).length, 1);
        await driver.close();
        await again.close();
      }));
  });
}
