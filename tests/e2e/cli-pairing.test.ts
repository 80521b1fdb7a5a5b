/** The notebook on the command line: a device is added by a code, each device a process. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere } from "../support/http.ts";
import { logOf, type Run, run, start } from "../support/notebook-cli.ts";
import { otherThan } from "../support/pairing.ts";
import { until } from "../support/socket.ts";

describe("pair of the notebook on the command line", () => {
  const folder = temporaryFolder();
  const laptop = join(folder.path, "laptop");
  let server: Serving | undefined;
  let running: Run[] = [];
  before(async () => {
    server = await serveHere();
    const made = ["init", "--bits", "2048", "--server", server.url, "--folder", laptop];
    assert.equal((await run(made)).code, 0);
    assert.equal((await run(["send", "Buy milk.", "--folder", laptop])).code, 0);
  });
  beforeEach(() => {
    running = [];
  });
  after(async () => {
    await server?.close();
    folder.remove();
  });

  const begin = (...[args, options]: Parameters<typeof start>) => {
    const one = start(args, options);
    running.push(one);
    return one;
  };
  /** Starts it on both devices, up to the code that the new one shows. */
  async function begun(phone: string) {
    const old = begin(["pair", "--folder", laptop], { input: null });
    await until(() => /#pair=\S+\n/.test(old.stdout()));
    const link = old.stdout().trim();
    const young = begin(["pair", link, "--folder", phone], { passphrase: "of the phone alone" });
    await until(() => /^Code: \d{6}$/m.test(young.stdout()));
    await until(() => old.stderr().includes("Code that the new device shows: "));
    const [, code = ""] = /^Code: (\d{6})$/m.exec(young.stdout()) ?? [];
    return { old, young, code };
  }

  it("makes a device with a passphrase of its own, which has the notes, once the code is typed", async () => {
    const phone = join(folder.path, "phone");
    const { old, young, code } = await begun(phone);
    old.child.stdin?.write("12\n");
    await until(() => old.stderr().includes("a code has six digits"));
    old.child.stdin?.end(`${code}\n`);
    const [gave, took] = await Promise.all([old.ended, young.ended]);
    assert.equal(gave.code, 0, gave.stderr);
    assert.equal(took.code, 0, took.stderr);
    assert.match(gave.stderr, /The new device has the key\./);
    assert.match(took.stdout, /is a device of the notebook [\w-]{8}, at http:/);
    assert.ok(!existsSync(join(laptop, "pairing")));
    const log = await run(["log", "--json", "--folder", phone], {
      passphrase: "of the phone alone",
    });
    assert.match(log.stdout, /"Buy milk\."/);
    assert.deepEqual(await logOf(laptop), ["Buy milk."]);
  });

  it("sends nothing for a wrong code, and makes no device", async () => {
    const phone = join(folder.path, "wrong");
    const { old, young, code } = await begun(phone);
    old.child.stdin?.end(`${otherThan(code)}\n`);
    const [gave, took] = await Promise.all([old.ended, young.ended]);
    assert.equal(gave.code, 1);
    assert.match(
      gave.stderr,
      /Error: this is not the code that the new device shows, so the key was not sent/,
    );
    assert.equal(took.code, 1);
    assert.match(took.stderr, /Error: the pairing was ended elsewhere/);
    assert.ok(!existsSync(join(phone, "device.json")));
  });

  it("ends on both devices when it is stopped on one", async () => {
    const { old, young } = await begun(join(folder.path, "stopped"));
    process.kill(old.child.pid ?? 0, "SIGINT");
    const [gave, took] = await Promise.all([old.ended, young.ended]);
    assert.equal(gave.code, 1);
    assert.match(gave.stderr, /the pairing was stopped/);
    assert.match(took.stderr, /ended elsewhere/);
  });

  it("ends on both devices when it is run again after it was killed", async () => {
    const { old, young } = await begun(join(folder.path, "killed"));
    process.kill(old.child.pid ?? 0, "SIGKILL");
    await old.ended;
    assert.ok(existsSync(join(laptop, "pairing")));
    const again = begin(["pair", "--folder", laptop], { input: null });
    assert.match((await young.ended).stderr, /ended elsewhere/);
    await until(() => again.stdout().includes("#pair="));
    process.kill(again.child.pid ?? 0, "SIGTERM");
    assert.equal((await again.ended).code, 1);
  });

  it("refuses a malformed link", async () => {
    const { code, stderr } = await run([
      "pair",
      "http://localhost/",
      "--folder",
      join(folder.path, "no"),
    ]);
    assert.equal(code, 1);
    assert.match(stderr, /^Error: this is not a link for adding a device/);
  });
});
