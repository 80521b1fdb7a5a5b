/** The program's command line: which command runs, with what, and how it ends. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseArguments } from "../../commands/arguments.ts";
import { WrongArgument } from "../../commands/command.ts";
import { openStorage } from "../../storage/open.ts";
import { inTime } from "../support/deadline.ts";
import { temporaryFolder } from "../support/folder.ts";
import { storeEach } from "../support/logs.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { fromSource, runToEnd, startServer } from "../support/process.ts";
import { serveRaw } from "../support/raw-server.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const { skip, note } = onlyOn("Bun", "no runtime changes it");

describe("parseArguments", () => {
  const options = [
    { name: "top", value: "N", meaning: "" },
    { name: "json", short: "j", meaning: "" },
  ];
  const parse = (...args: string[]) => {
    const given = parseArguments(args, options, { most: 1, help: "--help" });
    return [given.positionals, Object.fromEntries(given.options)];
  };

  it("takes options before and after the other arguments, in each of their spellings", () => {
    assert.deepEqual(parse("--top", "5", "./data", "-j"), [["./data"], { top: "5", json: "" }]);
    assert.deepEqual(parse("./data", "--top=-5"), [["./data"], { top: "-5" }]);
    assert.deepEqual(parse("--json", "--", "--top"), [["--top"], { json: "" }]);
    assert.deepEqual(parse(), [[], {}]);
  });

  it("takes a fingerprint for what it is, whatever it begins with", () => {
    for (const start of ["-", "--", "-j", "--top", "--json"]) {
      const user = start.padEnd(43, "x");
      assert.deepEqual(parse(user, "-j"), [[user], { json: "" }]);
      assert.deepEqual(parse("--top", user, "./data"), [["./data"], { top: user }]);
      assert.deepEqual(parse(`--top=${user}`, "--", user), [[user], { top: user }]);
    }
  });

  it("refuses what there is not, and says where to look", () => {
    const refused: [string[], RegExp][] = [
      [["--tpo", "5"], /^There is no argument --tpo: see --help\.$/],
      [["-x"], /^There is no argument -x: see --help\.$/],
      [["one", "two"], /^There is no argument two: see --help\.$/],
      [["--top"], /^--top needs a value, as in --top N\./],
      [["--top", "--json"], /^--top needs a value/],
      [["--json=yes"], /^--json takes no value/],
    ];
    for (const [args, message] of refused) {
      assert.throws(
        () => parse(...args),
        (error) => error instanceof WrongArgument && message.test(error.message),
        args.join(" "),
      );
    }
  });
});

describe("sync-server", () => {
  const folder = temporaryFolder();
  const place = join(folder.path, "data");
  const user = someFingerprint();
  before(async () => {
    const storage = await openStorage(place);
    await storeEach(storage, user, newClient(), ["one", "two"]);
    await storage.close();
  });
  after(() => folder.remove());

  it("serves with the word and without, and takes settings as options", async () => {
    const storage = join(folder.path, "served");
    const args = ["serve", storage, "--max-wait", "7s", "--demo=off"];
    const server = await startServer({ DEMO: "on" }, fromSource, args);
    assert.ok(server.output().trimEnd().endsWith(`, storage ${storage}`), server.output());
    assert.equal((await fetch(new URL("/", server.url))).status, 404);
    assert.equal(await server.end("SIGTERM"), 0);
    const { code, stderr } = await runToEnd(["--port", "many", "--cluster=none"]);
    assert.equal(code, 1);
    assert.match(stderr, /^PORT must be a port/);
  });

  it(`starts no server where a command was meant${note}`, { skip }, async () => {
    for (const [wrong, meant] of [
      ["usgae", "usage"],
      ["verfy", "verify"],
      ["coppy", "copy"],
      ["docter", "doctor"],
      ["usres", "users"],
      ["conformence", "conformance"],
    ]) {
      const { code, stderr } = await runToEnd([`${wrong}`]);
      assert.equal(code, 2);
      assert.match(
        stderr,
        new RegExp(`^There is no command ${wrong}: is it meant to be ${meant}\\?`),
      );
    }
    const twice = await runToEnd([place, "--storage", place]);
    assert.equal(twice.code, 2);
    assert.match(twice.stderr, /given twice/);
    assert.ok(!existsSync("usgae"));
  });

  it("runs usage and verify, on STORAGE where no argument names another", async () => {
    const usage = await runToEnd(["usage", "--json"], { STORAGE: place });
    assert.equal(usage.code, 0, usage.stderr);
    const [first = "", total = ""] = usage.stdout.split("\n");
    assert.equal(JSON.parse(first).user, user);
    assert.equal(JSON.parse(total).total.operations, 2);
    assert.equal(usage.stderr, "");
    const verify = await runToEnd(["verify", place], { STORAGE: "memory:" });
    assert.deepEqual(verify, {
      code: 0,
      stdout: "1 user, 2 objects, 2 read (6 B): all is whole\n",
      stderr: "",
    });
  });

  it(`has a --help for each command, in lines that fit a terminal${note}`, { skip }, async () => {
    for (const [command, option] of [
      ["usage", "--user FINGERPRINT"],
      ["verify", "--user FINGERPRINT"],
      ["copy", "--user FINGERPRINT"],
      ["doctor", "--quick"],
      ["users", "--file PATH"],
      ["conformance", "--rule RULE"],
    ] as const) {
      const { code, stdout } = await runToEnd([command, "--help"]);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`^sync-server ${command}: `));
      for (const text of ["--json", option, "Exit codes:", "  130 ", "  143 "]) {
        assert.ok(stdout.includes(text), text);
      }
      for (const line of stdout.split("\n")) assert.ok(line.length <= 100, line);
    }
    assert.match((await runToEnd(["--help"])).stdout, /^Exit codes:\n {2}0 /m);
    assert.equal((await runToEnd(["serve", "--help"])).stdout, (await runToEnd(["-h"])).stdout);
  });

  it(`says by its exit code that it failed${note}`, { skip }, async () => {
    const missing = join(folder.path, "missing");
    const usage = await runToEnd(["usage", missing]);
    assert.equal(usage.code, 1);
    assert.match(usage.stderr, /^could not open the storage folder /);
    assert.equal((await runToEnd(["verify", missing])).code, 2);
    assert.equal((await runToEnd(["verify", place, "--sample", "some"])).code, 2);
    assert.equal((await runToEnd(["usage"], { STORAGE: "ftp://host" })).code, 1);
  });

  it("ends without a word when nobody reads it any more, and says when a disk is full", async () => {
    const many = join(folder.path, "many");
    const storage = await openStorage(many);
    // More than a pipe holds.
    const users = Array.from({ length: 1000 }, someFingerprint);
    await Promise.all(users.map((some) => storeEach(storage, some, newClient(), ["one"])));
    await storage.close();
    const command = [...fromSource.command, "usage", "--json", many]
      .map((part) => `'${part}'`)
      .join(" ");
    const inShell = (line: string) =>
      spawnSync("bash", ["-c", line], { cwd: fromSource.folder, encoding: "utf8" });
    const piped = inShell(`${command} | head -1`);
    assert.match(piped.stdout, /^\{"user":.*\}\n$/);
    assert.equal(piped.stderr, "");
    if (!existsSync("/dev/full")) return;
    const full = inShell(`${command} > /dev/full`);
    assert.equal(full.status, 1);
    assert.match(full.stderr, /^standard output takes nothing: .*(ENOSPC|No space left)/);
  });

  it("stops by Ctrl-C, and says so", async (test) => {
    const hanging = await hangingService();
    test.after(hanging.close);
    const [file, ...args] = fromSource.command;
    const child = spawn(file, [...args, "verify", "s3://bucket"], {
      cwd: fromSource.folder,
      env: { ...process.env, ...hanging.environment },
    });
    let stderr = "";
    child.stderr.on("data", (data) => {
      stderr += data;
    });
    const closed = once(child, "close");
    await inTime(hanging.asked, () => `it lists: ${stderr}`);
    process.kill(child.pid ?? 0, "SIGINT");
    const [code] = await inTime(closed, () => `it stops: ${stderr}`);
    assert.equal(code, 130);
    assert.match(stderr, /^Stopped before the end\. Nothing was changed/m);
  });

  it(`shows its progress on a terminal, where Ctrl-C stops it${note}`, {
    skip: skip || spawnSync("script", ["--version"]).error !== undefined,
  }, async (test) => {
    const hanging = await hangingService();
    test.after(hanging.close);
    const command = [...fromSource.command, "verify", "s3://bucket"].join(" ");
    const child = spawn("script", ["-qec", command, "/dev/null"], {
      cwd: fromSource.folder,
      env: { ...process.env, ...hanging.environment },
    });
    let shown = "";
    const isShown = new Promise<void>((resolve) => {
      child.stdout.on("data", (data) => {
        shown += data;
        if (shown.includes("0%, 0 objects")) resolve();
      });
    });
    const closed = once(child, "close");
    await inTime(isShown, () => `it shows its progress: ${shown}`);
    // Ctrl-C, as a terminal sends it.
    child.stdin.write("\u0003");
    const [code] = await inTime(closed, () => `it stops: ${shown}`);
    assert.equal(code, 130);
    assert.ok(shown.includes("\r\u001b[KStopped before the end"), shown);
  });
});

/** An S3 service that answers nothing, and when it is first asked. */
async function hangingService() {
  let ask = () => undefined;
  const asked = new Promise<void>((resolve) => {
    ask = () => void resolve();
  });
  const server = await serveRaw(() => ask());
  const environment = {
    AWS_ENDPOINT_URL: server.url,
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "id",
    AWS_SECRET_ACCESS_KEY: "secret",
  };
  return { asked, environment, close: server.close };
}
