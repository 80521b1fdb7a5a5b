/** Copies of a storage that a server uses, and copies that are killed. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { openStorage } from "../../storage/open.ts";
import { contentsOf } from "../support/copies.ts";
import { inTime } from "../support/deadline.ts";
import { temporaryFolder } from "../support/folder.ts";
import { storeEach } from "../support/logs.ts";
import { fromSource, runToEnd } from "../support/process.ts";
import { until } from "../support/socket.ts";
import { newClient, someFingerprint } from "../support/users.ts";
import { runRound } from "./simulation/round.ts";

const { path, remove } = temporaryFolder();
after(remove);

describe("copy", () => {
  it("has all that was acknowledged before, while devices append, pack, trim and leave", async () => {
    const newPlace = () => join(path, randomUUID());
    const lines: string[] = [];
    const say = (line: string) => void lines.push(line);
    const seen = await runRound({ seed: 2, from: newPlace(), newPlace, time: 0, copies: 4, say });
    assert.equal(seen.copies, 4);
    assert.ok(seen.packed > 0 && seen.devices.snapshots > 0, JSON.stringify(seen));
    assert.equal(lines.length, 4, lines.join("\n"));
  });

  for (const signal of ["SIGKILL", "SIGINT"] as const) {
    it(`goes on after ${signal} where it was`, async () => {
      const [from, to] = [join(path, `from-${signal}`), join(path, `to-${signal}`)];
      const storage = await openStorage(from);
      const user = someFingerprint();
      await storeEach(storage, user, newClient(), Array(200).fill("x".repeat(100)));
      const [file, ...args] = fromSource.command;
      // It would take 20 seconds.
      const child = spawn(file, [...args, "copy", from, to, "--rate", "1024"], {
        cwd: fromSource.folder,
      });
      let stderr = "";
      child.stderr.on("data", (data) => {
        stderr += data;
      });
      const closed = once(child, "close");
      const folder = join(to, user);
      const copied = () => (existsSync(folder) ? readdirSync(folder).length : 0);
      await until(async () => copied() >= 2, "some are copied");
      process.kill(child.pid ?? 0, signal);
      const [code] = await inTime(closed, () => `it ends: ${stderr}`);
      if (signal === "SIGINT") {
        assert.equal(code, 130);
        assert.equal(
          stderr,
          "Stopped before the end. What was copied stays: run it again to go on.\n",
        );
      }
      const before = copied();
      assert.ok(before < 200);
      const again = await runToEnd(["copy", from, to, "--json"]);
      assert.equal(again.code, 0, again.stderr);
      const { copied: counts } = JSON.parse(again.stdout);
      assert.deepEqual([counts.present, counts.objects], [before, 200 - before]);
      const copy = await openStorage(to);
      assert.deepEqual(await contentsOf(copy), await contentsOf(storage));
      await Promise.all([storage.close(), copy.close()]);
    });
  }
});
