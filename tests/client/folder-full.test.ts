/** The folder of a device on a disk that is almost full. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { FolderStore } from "../../client/folder.ts";
import { cannotMount, mountMemory, onMounted } from "../support/mounts.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const mount = () => mountMemory("size=1m");
const skip = cannotMount(mount);

describe(`a folder on a small disk${skip === false ? "" : ` (skipped: ${skip})`}`, { skip }, () => {
  it("keeps its room where a snapshot is too large for it", () =>
    onMounted(mount, async ({ path }) => {
      const fingerprint = someFingerprint();
      const store = await FolderStore.open(path, { fingerprint });
      try {
        const client = newClient();
        await store.begin(client);
        const snapshot = { client: newClient(), index: 0, payload: "x".repeat(2_000_000) };
        for (let times = 0; times < 3; times++) {
          await assert.rejects(store.keepSnapshot(snapshot, false), { code: "ENOSPC" });
        }
        const payload = "x".repeat(500_000);
        await store.append(client, 0, [payload]);
        assert.deepEqual(await store.read(client, 0, 1, 0), [payload]);
        assert.equal(await store.readSnapshot(), undefined);
        const names = readdirSync(join(path, fingerprint, "0"));
        assert.deepEqual(
          names.filter((name) => name.endsWith(".tmp")),
          [],
        );
      } finally {
        await store.close();
      }
    }));
});
