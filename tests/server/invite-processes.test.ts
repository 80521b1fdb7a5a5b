/** Invites where several processes have one list, and where they are killed. */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import type { Fingerprint } from "../../oplog/names.ts";
import { InviteFolder } from "../../server/invite-folder.ts";
import { hashOfCode } from "../../sync/invites.ts";
import { temporaryFolder } from "../support/folder.ts";
import { sync } from "../support/http.ts";
import { addInvite, invitedRequest, listWithInvite } from "../support/invites.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { commandFor, projectFolder, type ServerProcess, startServer } from "../support/process.ts";
import {
  newSigningUser,
  type SigningUser,
  signedHeaders,
  syncBody,
  twoSigningUsers,
} from "../support/signing.ts";
import { until } from "../support/socket.ts";
import { someFingerprint } from "../support/users.ts";

const PROGRAM = join("tests", "support", "invite-process.ts");

/** False as well where a container forbids tracing. */
const canWatch = spawnSync("strace", ["-f", "-qq", "-e", "trace=fsync", "true"]).status === 0;

const syncUrl = (url: string) => new URL("/sync", url).href;

async function useBy(url: string, user: SigningUser, code: string) {
  const { body, headers } = await invitedRequest(user, code, { url: syncUrl(url) });
  return sync(url, body, headers);
}

async function isIn(url: string, user: SigningUser): Promise<boolean> {
  const body = syncBody(user);
  const { status } = await sync(url, body, await signedHeaders(user, { url: syncUrl(url), body }));
  return status === 200;
}

/** A process that uses each of some invites for a user; with a seed, any of them until it is killed. */
function startUsing(list: string, user: Fingerprint, count: number, seed?: number) {
  const [command, ...args] = commandFor(PROGRAM);
  const given = [list, user, `${count}`, ...(seed === undefined ? [] : [`${seed}`])];
  const child: ChildProcess = spawn(command, [...args, ...given], {
    cwd: projectFolder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const atExit = () => child.kill("SIGKILL");
  process.once("exit", atExit);
  const ended = once(child, "close").finally(() => process.off("exit", atExit));
  const begun: number[] = [];
  const has = new Map<number, string>();
  if (child.stdout === null) throw new Error("the process has no output");
  createInterface(child.stdout).on("line", (line) => {
    const [what, index, who = ""] = line.split(" ");
    if (what === "begins") begun.push(Number(index));
    else has.set(Number(index), who);
  });
  return { begun, has, ended, kill: () => process.kill(child.pid ?? 0, "SIGKILL") };
}

describe("an invite on several servers with one list", () => {
  it("T-59 admits exactly one of the keys that send it at the same moment", async () => {
    const folder = temporaryFolder();
    const path = join(folder.path, "users");
    const codes = [listWithInvite(path), addInvite(path), addInvite(path)];
    const settings = { STORAGE: join(folder.path, "data"), USERS: path };
    const servers = await Promise.all([startServer(settings), startServer(settings)]);
    try {
      for (const code of codes) {
        const users = await Promise.all(Array.from({ length: 4 }, newSigningUser));
        const answers = await Promise.all(
          users.map((user, i) => useBy(servers[i % 2]?.url ?? "", user, code)),
        );
        const winners = users.filter((_, i) => answers[i]?.status === 200);
        assert.equal(winners.length, 1);
        for (const { status, problem } of answers) {
          if (status !== 200) assert.deepEqual([status, problem.reason], [403, "used"]);
        }
        for (const { url } of servers) {
          for (const user of users) assert.equal(await isIn(url, user), winners.includes(user));
        }
      }
    } finally {
      await Promise.all(servers.map((server) => server.end("SIGKILL")));
      folder.remove();
    }
  });

  const { skip, note } = onlyOn("Bun", "each kills processes that use invites");
  it(`is open, or used by the key that sent it, after the server is killed during the request${note}`, {
    skip,
  }, async () => {
    const folder = temporaryFolder();
    const path = join(folder.path, "users");
    writeFileSync(path, "");
    const settings = { STORAGE: join(folder.path, "data"), USERS: path };
    let server: ServerProcess = await startServer(settings);
    try {
      for (const milliseconds of [0, 4, 8, 16]) {
        const code = addInvite(path);
        await server.end("SIGKILL");
        server = await startServer(settings);
        const [ada, grace] = await twoSigningUsers();
        // What it answers, or that it does not.
        const answer = useBy(server.url, ada, code).catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, milliseconds));
        await server.end("SIGKILL");
        const wasIn = (await answer)?.status === 200;
        server = await startServer(settings);
        const isUsed = await isIn(server.url, ada);
        assert.ok(isUsed || !wasIn, "what was answered is so");
        const { status } = await useBy(server.url, grace, code);
        assert.equal(status, isUsed ? 403 : 200);
        assert.equal(await isIn(server.url, grace), !isUsed);
      }
    } finally {
      await server.end("SIGKILL");
      folder.remove();
    }
  });

  it("has one user and is never half used, however many processes are killed", async () => {
    const folder = temporaryFolder();
    const list = join(folder.path, "users");
    const [count, last] = [200, someFingerprint()];
    const users = Array.from({ length: 4 }, someFingerprint);
    const [rest = last, ...killed] = users;
    const processes = killed.map((user, i) => startUsing(list, user, count, i + 1));
    try {
      for (const [i, { begun, kill, ended }] of processes.entries()) {
        await until(() => begun.length >= 40 * (i + 1));
        kill();
        await ended;
      }
      const remaining = startUsing(list, rest, count);
      await remaining.ended;
      processes.push(remaining);
      const known = new InviteFolder(list);
      await known.read();
      for (let i = 0; i < count; i++) {
        const first = known.users.get(hashOfCode(`${i}`));
        assert.ok(first !== undefined && users.includes(first));
        for (const { has } of processes) assert.equal(has.get(i) ?? first, first);
        assert.equal(await new InviteFolder(list).claim(hashOfCode(`${i}`), last), first);
      }
    } finally {
      folder.remove();
    }
  });
});

describe("the use of an invite", { skip: !canWatch && "strace is missing or not allowed" }, () => {
  it("is synced before it is reported: first the content of the file, then its name", async () => {
    const folder = temporaryFolder();
    try {
      const list = join(folder.path, "users");
      const log = join(folder.path, "calls");
      const calls = "trace=fsync,fdatasync,link,linkat,write,writev";
      const watch = ["-f", "-qq", "-y", "--seccomp-bpf", "-s", "300", "-e", calls, "-o", log];
      const args = [...watch, ...commandFor(PROGRAM), list, someFingerprint(), "1"];
      await promisify(execFile)("strace", args, { cwd: projectFolder });
      const lines = readFileSync(log, "utf8").split("\n");
      let at = -1;
      const path = `${list}.invites/${hashOfCode("0")}`;
      for (const what of [
        /write.*"begins 0\\n"/,
        new RegExp(`sync\\(\\d+<${path}\\.[\\w-]+\\.new>`),
        new RegExp(`link.*"${path}"`),
        new RegExp(`sync\\(\\d+<${list}\\.invites>`),
        new RegExp(`sync\\(\\d+<${folder.path}>`),
        /write.*"has 0 /,
      ]) {
        const next = lines.findIndex((line, i) => i > at && what.test(line));
        assert.notEqual(next, -1, `${what} after ${lines[at]}`);
        at = next;
      }
      assert.deepEqual(readdirSync(`${list}.invites`), [hashOfCode("0")]);
    } finally {
      folder.remove();
    }
  });
});
