/** The notebook on the command line: real processes on the runtime of the test, a folder a device. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere } from "../support/http.ts";
import { cheapNotebook, notebook } from "../support/notebook-cli.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { until } from "../support/socket.ts";

const { skip, note } = onlyOn("Bun", "the rest is the same program");
// All rounds of a passphrase take Node and Deno a quarter of a second, for each command.
const { logOf, openNotebook, run, start } = skip ? cheapNotebook : notebook;

describe("the notebook on the command line", () => {
  const folder = temporaryFolder();
  const [laptop, phone] = [join(folder.path, "laptop"), join(folder.path, "phone")];
  let server: Serving | undefined;
  before(async () => {
    server = await serveHere();
    await openNotebook(server.url, laptop, phone);
  });
  after(async () => {
    await server?.close();
    folder.remove();
  });

  it("sends a text, a file and the lines of standard input, which another device logs", async () => {
    const file = join(folder.path, "list.txt");
    writeFileSync(file, "Milk\nCat food\n");
    for (const [args, input] of [
      [["Feed", "the", "cat. 🐈"], ""],
      [["--file", file], ""],
      [[], "one\n\ntwo\n"],
    ] as const) {
      const sent = await run(["send", ...args, "--folder", laptop], { input });
      assert.equal(sent.code, 0, sent.stderr);
    }
    const expected = ["Feed the cat. 🐈", "Milk\nCat food\n", "one", "two"];
    assert.deepEqual(await logOf(phone), expected);
    assert.deepEqual(await logOf(laptop), expected);
    const { stdout } = await run(["log", "--folder", phone]);
    const shown = stdout.replaceAll(/^.{16} UTC {2}[0-9a-f]{8} {2}/gm, "");
    assert.equal(shown, expected.map((text) => `${text}\n`).join(""), "log prints all each time");
    assert.match(stdout, /^\d{4}-\d\d-\d\d \d\d:\d\d UTC {2}[0-9a-f]{8} {2}Feed the cat\. 🐈$/m);
  });

  it("prints existing notes, then new ones as they arrive, until watch is stopped", async () => {
    const watching = start(["watch", "--json", "--folder", phone]);
    await until(() => watching.stdout().includes('"two"'));
    assert.equal((await run(["send", "from the laptop", "--folder", laptop])).code, 0);
    await until(() => watching.stdout().includes("from the laptop"));
    // A second process in the same folder has another client id.
    assert.equal((await run(["send", "from here", "--folder", phone])).code, 0);
    await until(() => watching.stdout().includes("from here"));
    process.kill(watching.child.pid ?? 0, "SIGTERM");
    const { code, stdout, stderr } = await watching.ended;
    assert.equal(code, 0, stderr);
    const lines = stdout.trimEnd().split("\n");
    assert.equal(new Set(lines).size, lines.length, "nothing is printed twice");
    assert.deepEqual(
      (await logOf(laptop)).sort(),
      lines.map((line) => JSON.parse(line).text).sort(),
    );
  });

  it(`shows the progress of a long transfer, and the state of a device${note}`, {
    skip,
  }, async () => {
    const input = Array.from({ length: 300 }, (_, i) => `line ${i}\n`).join("");
    const sent = await run(["send", "--folder", laptop], { input });
    assert.match(sent.stderr, /^sent \d+ of \d+\n.*sent 300 notes\n$/s);
    const { code, stdout, stderr } = await run(["status", "--folder", phone]);
    assert.equal(code, 0);
    assert.match(stderr, /^received \d+$/m);
    assert.match(stdout, /^status +synced$/m);
    assert.match(stdout, /^this device +[0-9a-f-]{36}, 0 notes$/m);
    assert.match(stdout, /^other devices +2, 306 notes$/m);
    assert.equal((await logOf(phone)).length, 306);
  });

  it(`reads only what is new to send a note or to show the state${note}`, { skip }, async () => {
    const state = await run(["status", "--folder", phone]);
    assert.match(state.stdout, /^other devices +2, 306 notes$/m);
    assert.match(state.stdout, /^fingerprint +[\w-]{43}$/m);
    assert.equal(state.stderr, "", "nothing is received again");
    const sent = await run(["send", "from the phone", "--folder", phone]);
    assert.equal(sent.stderr, "sent 1 note\n");
    assert.equal((await logOf(phone)).length, 307);
  });

  it("stores nothing decrypted, in files that only their owner can read", async () => {
    const files = readdirSync(laptop, { recursive: true, withFileTypes: true });
    const paths = files
      .filter((file) => file.isFile())
      .map((file) => join(file.parentPath, file.name));
    assert.ok(paths.length >= 3);
    for (const path of paths) {
      assert.equal(statSync(path).mode & 0o077, 0, path);
      assert.doesNotMatch(readFileSync(path, "utf8"), /Feed the cat|PRIVATE KEY/, path);
    }
  });

  it(`replaces control characters in a note, which a terminal would obey${note}`, {
    skip,
  }, async () => {
    const text = "\x1b[2Jgone\tor not\x07";
    assert.equal((await run(["send", text, "--folder", laptop])).code, 0);
    const { stdout } = await run(["log", "--folder", phone]);
    assert.match(stdout, /\ufffd\[2Jgone\tor not\ufffd\n/);
    assert.ok((await logOf(phone)).includes(text));
  });

  it("ends silently with code 0 when its reader closes the pipe", async () => {
    for (const name of ["log", "watch"]) {
      const { child, stderr, ended } = start([name, "--folder", phone]);
      child.stdout?.once("data", () => child.stdout?.destroy());
      if (name === "watch") {
        await until(() => child.stdout?.destroyed === true);
        assert.equal((await run(["send", "nobody reads this", "--folder", laptop])).code, 0);
      }
      const { code } = await ended;
      assert.doesNotMatch(stderr(), /^Error|^\s+at /m);
      assert.equal(code, 0);
    }
  });

  it("explains a full disk without a stack trace", {
    skip: !existsSync("/dev/full"),
  }, async () => {
    // One is enough to see how another runtime writes.
    for (const args of [["log"], ...(skip ? [] : [["export"], ["status"], ["--help"]])]) {
      const { code, stderr } = await start([...args, "--folder", phone], { output: "/dev/full" })
        .ended;
      assert.match(stderr, /^Error: .*no space left/im, args[0]);
      assert.doesNotMatch(stderr, /^\s+at /m, "no stack trace");
      assert.equal(code, 1, args[0]);
    }
  });
});
