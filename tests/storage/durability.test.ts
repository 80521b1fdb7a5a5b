/** Which system calls the filesystem driver makes before it resolves. */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { temporaryFolder } from "../support/folder.ts";
import { commandFor, projectFolder } from "../support/process.ts";
import { someFingerprint } from "../support/users.ts";

/** False as well where a container forbids tracing. */
const canWatch = spawnSync("strace", ["-f", "-qq", "-e", "trace=fsync", "true"]).status === 0;
const CALLS = "trace=fsync,fdatasync,rename,renameat,renameat2,mkdir,mkdirat,fchmod,write,writev";

describe("the filesystem driver", {
  skip: !canWatch && "strace is missing or not allowed",
}, () => {
  it("syncs each file before it is renamed, and each folder before its names are committed", async () => {
    const temporary = temporaryFolder();
    try {
      const above = join(temporary.path, "above");
      mkdirSync(above);
      const root = join(above, "deep", "data");
      const user = someFingerprint();
      const name = `${user}.a`;
      const log = join(temporary.path, "calls");
      const file = join("tests", "support", "durable-process.ts");
      // -y prints the paths of open files; --seccomp-bpf stops the program only at these calls.
      const watch = ["-f", "-qq", "-y", "--seccomp-bpf", "-s", "300", "-e", CALLS, "-o", log];
      const args = [...watch, ...commandFor(file), root, name];
      await promisify(execFile)("strace", args, { cwd: projectFolder });

      const calls = readFileSync(log, "utf8").split("\n");
      /** The position of a call after another one. */
      const find = (what: RegExp, from: number) => {
        const at = calls.findIndex((call, i) => i > from && what.test(call));
        assert.notEqual(at, -1, `${what} after ${calls[from]}`);
        return at;
      };
      const said = (text: string) => find(new RegExp(`write.*"${text}\\\\n"`), -1);
      const inOrder = (from: number, to: number, ...whats: RegExp[]) => {
        const last = whats.reduce((at, what) => find(what, at), from);
        assert.ok(last < to, `${whats.at(-1)} comes too late`);
      };
      const synced = (path: string) => new RegExp(`sync\\(\\d+<${path}>`);
      const aside = `${root}/\\.tmp/[\\w-]+`;
      const opened = said("opened");
      const stored = said("stored");
      const again = said("stored again");
      for (const path of [`${root}/\\.tmp`, root, join(above, "deep"), above]) {
        inOrder(-1, opened, /mkdir.*\.tmp/, synced(path));
      }
      const renamed = new RegExp(`rename.*${aside}.*${root}/${user}/${name}"`);
      const committed = new RegExp(`fchmod\\(\\d+<${root}/${user}/${name}>, 0600`);
      const put = [synced(aside), renamed, synced(`${root}/${user}`), committed];
      inOrder(opened, stored, ...put);
      const made = new RegExp(`mkdir.*${root}/${user}", 0500`);
      const folderCommitted = new RegExp(`fchmod\\(\\d+<${root}/${user}>, 0700`);
      inOrder(opened, stored, made, synced(root), folderCommitted, renamed);
      // Nobody vouches for a file that is not committed.
      inOrder(stored, again, ...put);
      inOrder(again, said("listed"), ...put);
    } finally {
      temporary.remove();
    }
  });
});
