/** The units in `deploy/systemd/`: what systemd says of them, and what the server does under them. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { readConfig } from "../../server/config.ts";
import { blocksOf, read, section } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { sync } from "../support/http.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { fromSource, projectFolder, runToEnd, startServer } from "../support/process.ts";
import { newClient, newUser } from "../support/users.ts";

const SERVICES = ["sync-server.service", "sync-server-backup.service"];
const UNITS = [...SERVICES, "sync-server-backup.timer"];

/** What starts the one file in the units. */
const PROGRAM = "/usr/bin/node /opt/sync-server/server.js";

const { skip, note } = onlyOn("Node", "the units start Node");
const has = (program: string) => spawnSync(program, ["--version"]).error === undefined;

const unit = (name: string) => read(`deploy/systemd/${name}`);

/** The values of a key, in the order of the lines. */
const valuesOf = (name: string, key: string) =>
  [...unit(name).matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map(([, value = ""]) => value);

describe(`the units of systemd${note}`, { skip }, () => {
  const folder = temporaryFolder();
  after(() => folder.remove());
  const installed = join(folder.path, "etc", "systemd", "system");
  before(() => {
    mkdirSync(installed, { recursive: true });
    for (const name of UNITS) {
      // systemd looks for the program.
      writeFileSync(join(installed, name), unit(name).replace("/usr/bin/node", process.execPath));
    }
  });

  const noSystemd = !has("systemd-analyze") && "needs systemd-analyze";

  it("are taken by systemd without a word", { skip: noSystemd }, () => {
    const verify = (names: string[]) => {
      const paths = names.map((name) => join(installed, name));
      const { status, stderr } = spawnSync("systemd-analyze", ["verify", ...paths], {
        encoding: "utf8",
      });
      return { status, stderr };
    };
    assert.deepEqual(verify(UNITS), { status: 0, stderr: "" });
    // It would say something.
    writeFileSync(join(installed, "wrong.service"), unit(SERVICES[0] ?? "").replace("User", "Usr"));
    assert.match(verify(["wrong.service"]).stderr, /Unknown key/);
  });

  it("expose little", { skip: noSystemd }, () => {
    for (const name of SERVICES) {
      // Of 100: what it says is OK goes up to 40. Without hardening it is 92.
      const args = ["security", "--offline=true", "--threshold=20", join(installed, name)];
      const { status, stdout, stderr } = spawnSync("systemd-analyze", args, { encoding: "utf8" });
      assert.equal(status, 0, stdout + stderr);
    }
  });

  it("have settings that the server takes, and one user and one program", () => {
    const [environment = ""] = valuesOf("sync-server.service", "Environment");
    const settings = Object.fromEntries(environment.split(" ").map((each) => each.split("=")));
    assert.equal(readConfig(settings).STORAGE, "/var/lib/sync-server");
    for (const name of SERVICES) {
      assert.deepEqual(valuesOf(name, "User"), ["sync-server"]);
      assert.ok(valuesOf(name, "ExecStart").every((line) => line.startsWith(PROGRAM)));
    }
    // What the server may write to.
    const [folders = ""] = valuesOf("sync-server.service", "StateDirectory");
    assert.ok(folders.split(" ").includes(basename(settings.STORAGE ?? "")));
    const [, list = ""] = /USERS=(\S+?),/.exec(unit("sync-server.service")) ?? [];
    assert.ok(folders.split(" ").includes(basename(dirname(list))), list);
    const stopWithin = Number(valuesOf("sync-server.service", "TimeoutStopSec"));
    assert.ok(stopWithin > 10);
  });

  it("are the files that docs/operations.md installs and enables", { skip: noSystemd }, () => {
    const chapter = section(read("docs/operations.md"), "Deploy");
    const commands = blocksOf(chapter, "sh").find((block) => block.includes("systemctl")) ?? "";
    const root = join(folder.path, "machine");
    const checkout = join(folder.path, "checkout");
    mkdirSync(join(root, "etc", "systemd", "system"), { recursive: true });
    mkdirSync(join(checkout, "dist"), { recursive: true });
    writeFileSync(join(checkout, "dist", "server.js"), "// The one file.");
    symlinkSync(join(projectFolder, "deploy"), join(checkout, "deploy"));
    const installs = commands
      .split("\n")
      .filter((line) => line.startsWith("install "))
      // Into a folder, and for the account of the test.
      .map((line) => line.replaceAll(/ (?=\/)/g, ` ${root}`).replace("-o sync-server ", ""));
    assert.equal(installs.length, 3);
    execFileSync("bash", ["-ec", installs.join("\n")], { cwd: checkout });
    const inPlace = UNITS.map((name) => join("etc", "systemd", "system", name));
    for (const path of [...inPlace, ...PROGRAM.split(" ").slice(1)]) {
      assert.equal(statSync(join(root, path)).mode & 0o777, 0o644, path);
    }
    assert.equal(statSync(join(root, "var", "backups", "sync-server")).mode & 0o777, 0o700);
    const [, names = ""] = /^systemctl enable --now (.*)$/m.exec(commands) ?? [];
    execFileSync("systemctl", [`--root=${root}`, "enable", ...names.split(" ")], {
      stdio: "ignore",
    });
    const [calendar = ""] = valuesOf("sync-server-backup.timer", "OnCalendar");
    const said = execFileSync("systemd-analyze", ["calendar", calendar], { encoding: "utf8" });
    assert.match(said, /Normalized form: \*-\*-\* 03:00:00/);
  });

  describe("have the server", () => {
    const data = join(folder.path, "var", "lib", "sync-server");
    const backups = join(folder.path, "var", "backups", "sync-server");
    const user = newUser().base64;
    const traces = join(folder.path, "traces");
    const canTrace = has("strace");
    // -D: the server is the child, which takes the signals.
    const traced = (name: string) => {
      const { command, folder } = fromSource;
      if (!canTrace) return fromSource;
      const strace = ["-D", "-f", "-qq", "-o", join(traces, name)] as const;
      return { command: ["strace", ...strace, ...command] as const, folder };
    };

    it("store, and make a copy that another server reads", { timeout: 120_000 }, async () => {
      mkdirSync(traces);
      const append = { user, client_id: newClient(), operation_index: 0, payload: "sealed" };
      const server = await startServer({ STORAGE: data }, traced("serve"));
      assert.equal((await sync(server.url, append)).status, 200);
      const [line = ""] = valuesOf("sync-server-backup.service", "ExecStart");
      const args = line.slice(PROGRAM.length + 1).split(" ");
      const here = args.map((arg) => (arg.startsWith("/") ? `${folder.path}${arg}` : arg));
      const { code, stdout } = await runToEnd(here, {}, traced("copy"));
      assert.deepEqual([code, stdout.split(",")[0]], [0, "1 user"]);
      assert.equal(await server.end("SIGTERM"), 0);
      const restored = await startServer({ STORAGE: backups });
      const { operations } = await sync(restored.url, { user, client_id: newClient() });
      assert.equal(operations.length, 1);
      assert.equal(await restored.end("SIGTERM"), 0);
    });

    it("make no system call that they forbid", {
      skip: noSystemd || (!canTrace && "needs strace"),
    }, () => {
      for (const [name, trace] of [
        ["sync-server.service", "serve"],
        ["sync-server-backup.service", "copy"],
      ] as const) {
        const lines = readFileSync(join(traces, trace), "utf8").split("\n");
        const called = new Set(lines.flatMap((line) => /^\d+ +(\w+)\(/.exec(line)?.[1] ?? []));
        assert.ok(called.has("openat") && called.size > 30, [...called].join());
        const allowed = new Set<string>();
        for (const filter of valuesOf(name, "SystemCallFilter")) {
          for (const call of filter.replace("~", "").split(" ").flatMap(callsOf)) {
            if (filter.startsWith("~")) allowed.delete(call);
            else allowed.add(call);
          }
        }
        assert.deepEqual(
          [...called].filter((call) => !allowed.has(call)),
          [],
        );
      }
    });
  });
});

/** The system calls of a set, with those of the sets in it. */
function callsOf(set: string): string[] {
  const text = execFileSync("systemd-analyze", ["syscall-filter", set], { encoding: "utf8" });
  const members = text
    .split("\n")
    .slice(1)
    .map((line) => line.trim());
  return members.flatMap((member) => {
    if (member === "" || member.startsWith("#")) return [];
    return member.startsWith("@") ? callsOf(member) : [member];
  });
}
