/** What other processes see of a storage, and what a killed process leaves behind. */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { ObjectMissing } from "../../../storage/driver.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { commandImporting, projectFolder } from "../../support/process.ts";
import { until } from "../../support/socket.ts";
import { someFingerprint } from "../../support/users.ts";
import { type Declare, type Opening, text } from "./place.ts";

/** How many puts a process has under way at once, and how many of them it is let finish. */
const SIDE_BY_SIDE = 4;
const ACKNOWLEDGED = 60;

/** More than any process stores before it is killed. */
const ENDLESS = 1_000_000;

export function declareProcesses(it: Declare, opening: Opening): void {
  it("shows objects to another process that opens the same storage", async ({ place, driver }) => {
    const name = `${someFingerprint()}.a`;
    await driver.put(name, text("shared"));
    const second = await place.open();
    assert.deepEqual(await second.list(name), [{ name, size: 6 }]);
    assert.deepEqual(Buffer.from(await second.get(name)), Buffer.from("shared"));
    await second.delete(name);
    await assert.rejects(driver.get(name), ObjectMissing);
    await second.close();
  });

  it("has what was acknowledged when the process that stored it is killed", async ({ place }) => {
    const user = someFingerprint();
    const putting = startPutting(opening, user);
    await until(() => putting.stored.length >= ACKNOWLEDGED || putting.ended());
    await putting.kill();
    assert.ok(putting.stored.length >= ACKNOWLEDGED, putting.errors());
    const later = await place.open();
    const listed = new Map((await later.list(`${user}.`)).map(({ name, size }) => [name, size]));
    for (const name of putting.stored) assert.ok(listed.has(name), `${name} is lost`);
    for (const [name, size] of listed) {
      assert.equal(size, name.length, `${name} is there by halves`);
      assert.deepEqual(Buffer.from(await later.get(name)), Buffer.from(name));
    }
    await later.close();
  });

  it("works while another process stores: a busy backend is waited for", async ({ driver }) => {
    const [user, other] = [someFingerprint(), someFingerprint()];
    const putting = startPutting(opening, other);
    try {
      await until(() => putting.stored.length > 0 || putting.ended());
      for (let i = 0; putting.stored.length < ACKNOWLEDGED && !putting.ended(); i++) {
        const name = `${user}.${i}`;
        await driver.put(name, text("mine"));
        assert.deepEqual(await driver.list(name), [{ name, size: 4 }]);
        if (i % 2 === 0) await driver.delete(name);
      }
      // No put of the other process has failed either.
      assert.equal(putting.ended(), false, putting.errors());
    } finally {
      await putting.kill();
    }
  });

  if (!opening.files || !canWatch()) return;

  it("syncs what it stores to the disk before it says so", async () => {
    const folder = temporaryFolder();
    try {
      const log = join(folder.path, "calls");
      const user = someFingerprint();
      const calls = "trace=fsync,fdatasync,sync_file_range,syncfs,msync,write,writev";
      // Only what is asked for stops the program; with the paths of what is open.
      const watch = ["-f", "-qq", "-y", "--seccomp-bpf", "-s", "300", "-e", calls, "-o", log];
      const command = commandTo(opening, user, 3, 1);
      await promisify(execFile)("strace", [...watch, ...command], { cwd: projectFolder });
      const lines = readFileSync(log, "utf8").split("\n");
      for (let i = 0; i < 3; i++) {
        const at = (what: string) => lines.findIndex((line) => line.includes(`"${what}\\n"`));
        const [begun, stored] = [at(`begins ${user}.${i}`), at(`stored ${user}.${i}`)];
        assert.ok(begun !== -1 && stored > begun, "the calls were not seen");
        const between = lines.slice(begun, stored);
        assert.ok(
          between.some((line) => /\b(fsync|fdatasync|syncfs)\(/.test(line)),
          `nothing was synced for object ${i}`,
        );
      }
    } finally {
      folder.remove();
    }
  });
}

/** Whether the calls of a process can be watched: a container may forbid it. */
export function canWatch(): boolean {
  return spawnSync("strace", ["-f", "-qq", "-e", "trace=fsync", "true"]).status === 0;
}

/** The command of a process that stores objects under a prefix. */
function commandTo(
  { module, driver, location }: Opening,
  prefix: string,
  count: number,
  side: number,
): [string, ...string[]] {
  const command = commandImporting(module, join("tests", "support", "put-process.ts"));
  return [...command, driver, location, prefix, `${count}`, `${side}`];
}

/** Starts a process that stores one object after the other, until it is killed or a put fails. */
function startPutting(opening: Opening, prefix: string) {
  const [command, ...args] = commandTo(opening, prefix, ENDLESS, SIDE_BY_SIDE);
  const child: ChildProcess = spawn(command, args, {
    cwd: projectFolder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  // A test that fails leaves none behind.
  const atExit = () => child.kill("SIGKILL");
  process.once("exit", atExit);
  const closed = once(child, "close").finally(() => process.off("exit", atExit));
  let ended = false;
  child.once("exit", () => {
    ended = true;
  });
  const stored: string[] = [];
  let errors = "";
  child.stderr?.on("data", (data) => {
    errors += data;
  });
  if (child.stdout === null) throw new Error("the process has no output");
  createInterface(child.stdout).on("line", (line) => {
    if (line.startsWith("stored ")) stored.push(line.slice("stored ".length));
  });
  return {
    /** The names of the objects that were acknowledged. */
    stored,
    ended: () => ended,
    errors: () => errors,
    kill: async () => {
      child.kill("SIGKILL");
      await closed;
    },
  };
}
