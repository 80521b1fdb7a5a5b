/**
 * What a failed sync covered is not durable, although the next sync succeeds: the system reports a
 * failed write only once.
 */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { promisify } from "node:util";
import { FilesystemDriver } from "../../storage/filesystem.ts";
import { temporaryFolder } from "../support/folder.ts";
import { commandFor, projectFolder } from "../support/process.ts";
import { someFingerprint } from "../support/users.ts";

/** A call of the system, or what the process said. */
interface Call {
  readonly kind: string;
  /** What is in the brackets. */
  readonly args: string;
  /** A path or a number. */
  readonly result: string;
  /** The lines of the trace on which it begins and ends. */
  readonly begin: number;
  readonly end: number;
  /** Of a sync: the line on which what it syncs was opened. A duplicate is the same file. */
  readonly opened: number | undefined;
}

/** Reads what `strace -f -y` has written. */
function readTrace(path: string): Call[] {
  const begun = new Map<string, { begin: number; text: string; opened: number | undefined }>();
  const descriptors = new Map<string, number>();
  const openedBy = (text: string) => descriptors.get(/^fsync\((.*>)/.exec(text)?.[1] ?? "");
  const calls: Call[] = [];
  for (const [end, line] of readFileSync(path, "utf8").split("\n").entries()) {
    const [, thread = "", rest = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const unfinished = /^(.*?) <unfinished \.\.\.>/.exec(rest)?.[1];
    if (unfinished !== undefined) {
      begun.set(thread, { begin: end, text: unfinished, opened: openedBy(unfinished) });
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest)?.[1];
    const { begin, text, opened } = (resumed !== undefined && begun.get(thread)) || {
      begin: end,
      text: "",
      opened: openedBy(rest),
    };
    const [, kind = "", args = "", result = ""] =
      /^(\w+)\((.*)\) += (.*)$/.exec(text + (resumed ?? rest)) ?? [];
    const from = /^(\d+<.*>), F_DUPFD/.exec(args)?.[1];
    if (kind.startsWith("open")) descriptors.set(result, begin);
    else if (from !== undefined) descriptors.set(result, descriptors.get(from) ?? begin);
    if (kind === "") continue;
    calls.push({ kind: kind.replace(/at2?$/, ""), args, result, begin, end, opened });
  }
  return calls;
}

/** Throws where something was stored or listed whose name no sync had made durable. */
function checkTrace(calls: readonly Call[], root: string, user: string): number {
  const folder = join(root, user);
  const ok = ({ result }: Call) => /^(0|\d+<.*>)$/.test(result);
  const of = (kind: string, text: string) =>
    calls.filter((call) => call.kind === kind && call.args.includes(text));

  /** When a change of names in a folder was durable, by what is known at a line of the trace. */
  const durableAt = (path: string, { begin, end }: Call, now: number): number | undefined => {
    const syncs = calls.filter(
      (call) => call.kind === "fsync" && call.args.endsWith(`<${path}>`) && call.end < now,
    );
    const sync = syncs.find((call) => {
      if (!ok(call) || call.begin < end) return false;
      const hasFailed = syncs.some(
        (other) => !ok(other) && other.end > begin && other.end < call.end,
      );
      return call.opened !== undefined && call.opened < begin && !hasFailed;
    });
    return sync?.end;
  };

  let claims = 0;
  for (const said of calls) {
    const [, name = ""] = /"(?:stored|listed) (\S+)\\n"/.exec(said.args) ?? [];
    if (said.kind !== "write" || name === "") continue;
    claims++;
    const isDurable = of("rename", `"${folder}/${name}"`).some((rename) => {
      const [, aside = ""] = /"([^"]*)"/.exec(rename.args) ?? [];
      const written = of("fsync", `<${aside}>`).some((call) => ok(call) && call.end < rename.begin);
      return ok(rename) && written && durableAt(folder, rename, said.begin) !== undefined;
    });
    assert.ok(isDurable, `${name} counts on line ${said.begin + 1}, and is not durable`);
    const made = of("mkdir", `"${folder}"`).some(
      (mkdir) => ok(mkdir) && durableAt(root, mkdir, said.begin) !== undefined,
    );
    assert.ok(made, `the folder of ${name} is not durable`);
  }
  return claims;
}

const canTrace = spawnSync("strace", [
  ...["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:error=EIO"],
  "true",
]);
const cannotTrace = canTrace.status !== 0;
const why = cannotTrace ? " (skipped: strace is missing or not allowed)" : "";
const CALLS = "open,openat,fsync,rename,renameat,renameat2,mkdir,mkdirat,fchmod,fcntl,write";

/** Runs a program some of whose calls fail; returns what it printed. */
async function run(
  program: readonly string[],
  { log = "/dev/null", fail = "", paths = [] as readonly string[] } = {},
): Promise<string> {
  const [file = "", ...args] = program;
  const options = ["-f", "-qq", "-y", "-s", "400", "-o", log, "-e", `trace=${CALLS}`];
  const inject = fail === "" ? [] : ["-e", `inject=${fail}`];
  const only = paths.flatMap((path) => ["-P", path]);
  const command = [...commandFor(join("tests", "support", file)), ...args];
  const all = [...options, ...inject, ...only, ...command];
  const { stdout } = await promisify(execFile)("strace", all, { cwd: projectFolder });
  return stdout;
}

describe(`what is stored while calls of the system fail${why}`, { skip: cannotTrace }, () => {
  const OBJECTS = 12;
  for (const [calls, error] of [
    ["fsync", "EIO"],
    ["fsync", "ENOSPC"],
    ["rename,renameat,renameat2", "EIO"],
    ["mkdir,mkdirat", "EIO"],
    ["fchmod", "EIO"],
  ] as const) {
    it(`counts only once a sync has covered it, where every third ${calls.split(",")[0]} of a thread fails with ${error}`, async () => {
      const temporary = temporaryFolder();
      try {
        const root = join(temporary.path, "data");
        // Only in the folder: the runtime itself needs these calls.
        mkdirSync(root);
        const user = someFingerprint();
        const log = join(temporary.path, "calls");
        const fail = `${calls}:error=${error}:when=1+3`;
        await run(["retrying-process.ts", root, user, `${OBJECTS}`], { log, fail });
        const trace = readTrace(log);
        assert.ok(trace.some(({ result }) => result.includes("INJECTED")));
        assert.ok(checkTrace(trace, root, user) >= 2 * OBJECTS);
      } finally {
        temporary.remove();
      }
    });
  }

  it("counts for no later process where a sync has failed, although the sync of that one succeeds", async () => {
    const temporary = temporaryFolder();
    try {
      const root = join(temporary.path, "data");
      const user = someFingerprint();
      const folder = join(root, user);
      const name = `${user}.0`;
      const failing = run(["durable-process.ts", root, name], {
        fail: "fsync:error=EIO",
        paths: [folder],
      });
      await assert.rejects(failing, /could not store an object: the disk does not work/);
      assert.deepEqual(readdirSync(folder), [name]);
      const log = join(temporary.path, "calls");
      await run(["retrying-process.ts", root, user, "0"], { log });
      const trace = readTrace(log);
      assert.ok(trace.some(({ args }) => args.includes(`listed ${name}`)));
      const renamed = trace.findIndex(
        ({ kind, args }) => kind === "rename" && args.includes(`"${join(folder, name)}"`),
      );
      const synced = trace.findIndex(
        ({ kind, args }, i) => i > renamed && kind === "fsync" && args.endsWith(`<${folder}>`),
      );
      const listed = trace.findIndex(({ args }) => args.includes(`listed ${name}`));
      assert.ok(renamed !== -1 && renamed < synced && synced < listed);
    } finally {
      temporary.remove();
    }
  });
});

describe("an object that nobody vouches for", () => {
  const temporary = temporaryFolder();
  after(() => temporary.remove());
  const body = new TextEncoder().encode("payload");
  const MODE = 0o777;

  async function withUncommitted(
    work: (driver: FilesystemDriver, path: string, name: string) => Promise<void>,
  ) {
    const user = someFingerprint();
    const root = join(temporary.path, user);
    const driver = await FilesystemDriver.open(root);
    const name = `${user}.a`;
    await driver.put(name, body);
    const path = join(root, user, name);
    // As a process leaves it that died, or whose sync failed.
    chmodSync(path, 0o400);
    const before = statSync(path, { bigint: true });
    await work(driver, path, name);
    const now = lstatSync(path, { bigint: true });
    assert.notDeepEqual([now.ino, now.birthtimeNs], [before.ino, before.birthtimeNs]);
    assert.equal(statSync(path).mode & MODE, 0o600);
    assert.deepEqual(readFileSync(path), Buffer.from(body));
    assert.deepEqual(readdirSync(join(root, ".tmp")), ["reserve"]);
  }

  it("is stored anew before a list shows it", () =>
    withUncommitted(async (driver, _, name) => {
      assert.deepEqual(await driver.list(name), [{ name, size: 7 }]);
    }));

  it("is stored anew by a put of its name", () =>
    withUncommitted((driver, _, name) => driver.put(name, body)));

  it("is stored anew once, however many lists and puts there are at once", () =>
    withUncommitted(async (driver, path, name) => {
      await driver.list(name);
      const { ino } = statSync(path);
      await Promise.all([driver.list(name), driver.put(name, body), driver.list("")]);
      assert.equal(statSync(path).ino, ino);
    }));

  it("is no reason for a list to fail when it is deleted meanwhile", async () => {
    const user = someFingerprint();
    const driver = await FilesystemDriver.open(join(temporary.path, user));
    const name = `${user}.a`;
    for (let round = 0; round < 20; round++) {
      await driver.put(name, body);
      chmodSync(join(temporary.path, user, user, name), 0o400);
      await Promise.all([driver.list(name), driver.delete(name)]);
      assert.deepEqual(await driver.list(name), []);
    }
  });

  it("may lie in a folder that a power loss has left without its commit", async () => {
    const user = someFingerprint();
    const root = join(temporary.path, user);
    const driver = await FilesystemDriver.open(root);
    const folder = join(root, user);
    mkdirSync(folder, { mode: 0o500 });
    await driver.put(`${user}.a`, body);
    assert.equal(statSync(folder).mode & MODE, 0o700);
    chmodSync(folder, 0o500);
    writeFileSync(join(folder, `${user}.b`), body, { mode: 0o400 });
    const again = await FilesystemDriver.open(root);
    await again.put(`${user}.c`, body);
    assert.equal(statSync(folder).mode & MODE, 0o700);
    assert.equal((await again.list(user)).length, 3);
  });
});
