/** Commands that change a storage, as processes that are killed or stopped midway, and run again. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import type { Driver } from "../../storage/driver.ts";
import { onEachStorage } from "../support/commands.ts";
import { inTime } from "../support/deadline.ts";
import { storeEach } from "../support/logs.ts";
import { fromSource, runToEnd } from "../support/process.ts";
import { until } from "../support/socket.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const OBJECTS = 200;
const PAYLOAD = "x".repeat(1000);

/** Starts a command. */
function start(...args: string[]): { readonly child: ChildProcess; readonly stderr: () => string } {
  const [file, ...before] = fromSource.command;
  const child = spawn(file, [...before, ...args], { cwd: fromSource.folder });
  let stderr = "";
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  return { child, stderr: () => stderr };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<unknown> {
  // It may have come to its end before.
  if (child.exitCode !== null) return child.exitCode;
  const ended = once(child, "close");
  // Not child.kill: Deno then reports the signal, whatever code the process ended with.
  process.kill(child.pid ?? 0, signal);
  const [code, by] = await inTime(ended, () => `it ends by ${signal}`);
  return code ?? by;
}

const namesIn = async (storage: Driver) => (await storage.list("")).map(({ name }) => name);

describe("a command that is ended midway", () => {
  onEachStorage("copy", ({ newPlace, open }) => {
    it("continues after it was killed or stopped, and completes its copy", async () => {
      const [from, to] = [newPlace(), newPlace()];
      const source = await open(from);
      const user = someFingerprint();
      await storeEach(source, user, newClient(), Array(OBJECTS).fill(PAYLOAD));
      let target: Driver | undefined;
      let count = 0;
      for (const signal of ["SIGKILL", "SIGINT"] as const) {
        // It would take a minute.
        const { child, stderr } = start("copy", from, to, "--rate", "3KiB", "--parallel", "1");
        target ??= await untilThere(() => open(to));
        const copy = target;
        await until(async () => (await namesIn(copy)).length > count + 2, stderr());
        const code = await end(child, signal);
        assert.equal(code, signal === "SIGINT" ? 130 : signal);
        if (signal === "SIGINT") {
          assert.match(stderr(), /^Stopped .* What was copied stays: run it again to go on\.$/m);
        }
        count = (await namesIn(copy)).length;
        assert.ok(count > 0 && count < OBJECTS, `${count}`);
      }
      const { code, stdout } = await runToEnd(["copy", from, to]);
      const copied = `1 user, ${OBJECTS - count} objects copied`;
      assert.ok(stdout.startsWith(copied), `${stdout}, not ${copied}`);
      assert.match(stdout, new RegExp(`, ${count} there already: the copy is whole\\n$`));
      assert.equal(code, 0);
      assert.deepEqual(await namesIn(target ?? source), await namesIn(source));
      await Promise.all([source.close(), target?.close()]);
    });
  });

  onEachStorage("users erase", ({ newPlace, open }) => {
    it("erases the user when it is run again", async () => {
      const place = newPlace();
      const storage = await open(place);
      const [user, other] = [someFingerprint(), someFingerprint()];
      await storeEach(storage, user, newClient(), Array(OBJECTS).fill(PAYLOAD));
      await storeEach(storage, other, newClient(), ["other"]);
      await storage.close();
      const erase = ["users", "erase", user, "--yes", "--storage", place];
      const { child } = start(...erase);
      const looking = await open(place);
      const hasTombstone = async () => (await namesIn(looking)).some((n) => n.includes(".erased."));
      await until(hasTombstone, "the tombstone is stored");
      await end(child, "SIGKILL");
      // Of what is left, a run deletes all: the first may have come to its end as well.
      const { code, stdout } = await runToEnd(erase);
      assert.deepEqual([code, stdout], [0, `${user.slice(0, 8)}… erased\n`]);
      const left = await namesIn(looking);
      assert.deepEqual(left.map((name) => name.slice(0, 43)).sort(), [user, other].sort());
      await looking.close();
    });
  });
});

/** The storage at a place that a command is about to make. */
async function untilThere(open: () => Promise<Driver>): Promise<Driver> {
  const found: Driver[] = [];
  await until(async () => {
    try {
      found.push(await open());
      return true;
    } catch (error) {
      if (!(error instanceof Error && error.name === "StorageUnavailable")) throw error;
      return false;
    }
  }, "the storage is there");
  const [driver] = found;
  assert.ok(driver);
  return driver;
}
