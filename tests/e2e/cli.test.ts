/** The notebook on the command line: real processes on the runtime of the test, a folder a device. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere } from "../support/http.ts";
import { logOf, type RunOptions, run, start } from "../support/notebook-cli.ts";
import { until } from "../support/socket.ts";

describe("the notebook on the command line", () => {
  const folder = temporaryFolder();
  const [laptop, phone] = [join(folder.path, "laptop"), join(folder.path, "phone")];
  let server: Serving | undefined;
  const url = () => server?.url ?? "";
  before(async () => {
    server = await serveHere();
    const made = await run(["init", "--bits", "2048", "--server", url(), "--folder", laptop]);
    assert.equal(made.code, 0, made.stderr);
    const { stdout: key } = await run(["export", "--folder", laptop]);
    const copied = await run(["import", "--server", url(), "--folder", phone], { input: key });
    assert.equal(copied.code, 0, copied.stderr);
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
    assert.deepEqual(await logOf(phone), expected, "log prints everything each time");
    const { stdout } = await run(["log", "--folder", phone]);
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

  it("shows the progress of a long transfer, and the state of a device", async () => {
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

  it("reads only what is new to send a note or to show the state", async () => {
    const state = await run(["status", "--folder", phone]);
    assert.match(state.stdout, /^other devices +2, 306 notes$/m);
    assert.match(state.stdout, /^fingerprint +[\w-]{43}$/m);
    assert.equal(state.stderr, "", "nothing is received again");
    const sent = await run(["send", "from the phone", "--folder", phone]);
    assert.equal(sent.stderr, "sent 1 note\n");
    assert.equal((await logOf(phone)).length, 307);
  });

  it("keeps a note that it cannot send, says so, and sends it the next time", async () => {
    const away = join(folder.path, "away");
    const key = (await run(["export", "--folder", laptop])).stdout;
    const other = await serveHere();
    assert.equal(
      (await run(["import", "--server", other.url, "--folder", away], { input: key })).code,
      0,
    );
    await other.close();
    const sent = await run(["send", "for later", "--folder", away]);
    assert.equal(sent.code, 1);
    assert.match(sent.stderr, /^Error: .*\(1\) are kept in .*away; the next send/s);
    const logged = await run(["log", "--folder", away]);
    assert.equal(logged.code, 1);
    assert.match(logged.stdout, /for later$/m);
    assert.match(logged.stderr, /^Warning: .*missing/);
    const shown = await run(["status", "--folder", away]);
    assert.match(shown.stdout, /^status +offline: .*; 1 to be sent$/m);
    // The server moves to another address.
    const device = join(away, "device.json");
    writeFileSync(device, readFileSync(device, "utf8").replace(other.url, url()));
    assert.ok((await logOf(away)).includes("for later"));
    assert.ok((await logOf(phone)).includes("for later"));
  });

  it("goes on where its state is damaged, says so, and sends what had not been sent", async () => {
    const device = join(folder.path, "damaged");
    const key = (await run(["export", "--folder", laptop])).stdout;
    const away = await serveHere();
    await run(["import", "--server", away.url, "--folder", device], { input: key });
    await away.close();
    await run(["send", "before the damage", "--folder", device]);
    const states = readdirSync(device, { recursive: true, withFileTypes: true });
    const state = states.find(({ name }) => name === "state.json") ?? assert.fail();
    writeFileSync(join(state.parentPath, state.name), "");
    const settings = join(device, "device.json");
    writeFileSync(settings, readFileSync(settings, "utf8").replace(away.url, url()));
    const sent = await run(["send", "after it", "--folder", device]);
    assert.equal(sent.code, 0, sent.stderr);
    assert.match(sent.stderr, /^Warning: .*state\.json.* is kept in .*damaged.*1 can be read/m);
    const texts = await logOf(phone);
    assert.ok(texts.includes("before the damage") && texts.includes("after it"));
    assert.equal((await run(["status", "--folder", device])).stderr, "");
  });

  it("keeps a note that is too large for the server, names it, and sends all others", async () => {
    const device = join(folder.path, "large");
    const key = (await run(["export", "--folder", laptop])).stdout;
    const away = await serveHere();
    await run(["import", "--server", away.url, "--folder", device], { input: key });
    await away.close();
    const file = join(folder.path, "large.txt");
    writeFileSync(file, "x".repeat(150_000));
    await run(["send", "before it", "--folder", device]);
    await run(["send", "--file", file, "--folder", device]);
    const small = await serveHere({ MAX_BODY: "100KiB" });
    try {
      const settings = join(device, "device.json");
      writeFileSync(settings, readFileSync(settings, "utf8").replace(away.url, small.url));
      for (const text of ["after it", "and more"]) {
        const sent = await run(["send", text, "--folder", device]);
        assert.equal(sent.code, 1);
        assert.match(
          sent.stderr,
          /^Error: .*Too large for the server: note 1 of .* All others are/m,
        );
        const shown = await run(["status", "--folder", device]);
        assert.match(shown.stdout, /^too large +note 1 of [0-9a-f-]{36}$/m);
      }
      const logged = await run(["log", "--folder", device]);
      assert.equal(logged.code, 1);
      assert.match(logged.stdout, /x{150000}$/m);
      assert.match(logged.stderr, /Warning: Too large for the server: note 1 of/);
      const other = join(folder.path, "other");
      await run(["import", "--server", small.url, "--folder", other], { input: key });
      assert.deepEqual(await logOf(other), ["before it", "after it", "and more"]);
    } finally {
      await small.close();
    }
  });

  it("stores nothing decrypted, in files that only their owner can read", async () => {
    const files = readdirSync(laptop, { recursive: true, withFileTypes: true });
    const paths = files
      .filter((file) => file.isFile())
      .map((file) => join(file.parentPath, file.name));
    assert.ok(paths.length >= 3);
    for (const path of paths) {
      assert.equal(statSync(path).mode & 0o077, 0, path);
      assert.doesNotMatch(readFileSync(path, "utf8"), /Feed|PRIVATE/, path);
    }
  });

  const wrong: [string, readonly string[], RunOptions, RegExp, number][] = [
    ["a wrong passphrase", ["log"], { passphrase: "not the passphrase" }, /passphrase is wrong/, 1],
    ["no passphrase", ["log"], { passphrase: "" }, /set SYNC_PASSPHRASE/, 1],
    ["a folder that is a device already", ["init"], {}, /is a device already/, 1],
    ["an unknown command", ["sned"], {}, /no command sned\nSee --help/, 2],
    ["an unknown option", ["log", "--nonsense"], {}, /--nonsense/, 2],
    ["an option of another command", ["log", "--file", "x"], {}, /log has no option --file/, 2],
    ["too many words", ["status", "now"], {}, /status does not take now/, 2],
    ["a file that does not exist", ["send", "--file", "/nowhere"], {}, /ENOENT.*\/nowhere/, 1],
    ["an empty name of a folder", ["log", "--folder", ""], {}, /--folder is empty/, 2],
    ["a folder that is a file", ["log", "--folder", process.execPath], {}, /ENOTDIR/, 1],
    ["a note that grows too large", ["send"], { input: "\x01".repeat(2 ** 21) }, /8 MiB/, 1],
    ["a file that is not text", ["send", "--file", process.execPath], {}, /not text/, 1],
  ];
  for (const [what, args, options, message, expected] of wrong) {
    it(`explains ${what} without a stack trace`, async () => {
      const { code, stdout, stderr } = await run(["--folder", laptop, ...args], options);
      assert.match(stderr, message);
      assert.doesNotMatch(stderr, /^\s+at /m, "no stack trace");
      assert.equal(stdout, "");
      assert.equal(code, expected);
    });
  }

  it("makes no device if the key, the address, the passphrase or the key size is invalid", async () => {
    const nowhere = join(folder.path, "nowhere");
    for (const [args, options, message] of [
      [["import"], { input: "not a key" }, /not a key/],
      [["init", "--server", "sync.example"], {}, /an address such as/],
      [["init", "--server", "http://me:secret@sync.example"], {}, /an address such as/],
      [["init"], { passphrase: "short" }, /at least 8 characters/],
      [["init", "--bits", "1024"], {}, /2048 to 4096/],
      [["send", "x"], {}, /no device in .*init/],
    ] as const) {
      const { code, stderr } = await run([...args, "--folder", nowhere], options);
      assert.match(stderr, message);
      assert.equal(code, 1);
      assert.ok(!existsSync(nowhere));
    }
  });

  it("replaces control characters in a note, which a terminal would obey", async () => {
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
    for (const args of [["log"], ["export"], ["status"], ["--help"]]) {
      const { code, stderr } = await start([...args, "--folder", phone], { output: "/dev/full" })
        .ended;
      assert.match(stderr, /^Error: .*no space left/im, args[0]);
      assert.doesNotMatch(stderr, /^\s+at /m, "no stack trace");
      assert.equal(code, 1, args[0]);
    }
  });

  it("keeps a note that the server refuses, and replaces control characters in the reason", async () => {
    const detail = "\x1b[2JThis key is not on the list.";
    const refusing = createServer((_, response) => {
      response.writeHead(403, { "Content-Type": "application/problem+json" });
      response.end(JSON.stringify({ type: "urn:sync-server:user-not-allowed", detail }));
    });
    await once(refusing.listen(0, "127.0.0.1"), "listening");
    try {
      const address = refusing.address();
      assert.ok(typeof address === "object" && address !== null);
      const barred = join(folder.path, "barred");
      const key = (await run(["export", "--folder", laptop])).stdout;
      const server = `http://127.0.0.1:${address.port}`;
      await run(["import", "--server", server, "--folder", barred], { input: key });
      const sent = await run(["send", "kept", "--folder", barred]);
      assert.equal(sent.code, 1);
      assert.match(
        sent.stderr,
        /^Error: the server says: \ufffd\[2JThis key is not on the list\. .*\(1\) are kept/m,
      );
      const shown = await run(["status", "--folder", barred]);
      assert.match(
        shown.stdout,
        /^status +refused: the server says: \ufffd\[2JThis .* list; 1 to be sent$/m,
      );
      for (const { stdout, stderr } of [sent, shown]) {
        assert.ok(!stdout.includes("\x1b") && !stderr.includes("\x1b"));
      }
    } finally {
      refusing.close();
    }
  });

  it("says why it waits while the server accepts no new users", async () => {
    const strict = await serveHere({ NEW_USERS_PER_HOUR: "1" });
    try {
      for (const name of ["first", "second"]) {
        const device = join(folder.path, name);
        await run(["init", "--bits", "2048", "--server", strict.url, "--folder", device]);
      }
      assert.equal((await run(["send", "x", "--folder", join(folder.path, "first")])).code, 0);
      const waiting = start(["send", "x", "--folder", join(folder.path, "second")]);
      await until(() => waiting.stderr().includes("(waiting: the server says: Too many new users"));
      waiting.child.kill("SIGKILL");
      await waiting.ended;
    } finally {
      await strict.close();
    }
  });

  it("has help for the program and for every command", async () => {
    const { code, stdout } = await run(["--help"]);
    assert.equal(code, 0);
    const names = [...stdout.matchAll(/^ {2}(\w+) {2,}\w/gm)].map(([, name = ""]) => name);
    assert.deepEqual(names, [
      "init",
      "export",
      "import",
      "send",
      "log",
      "watch",
      "status",
      "erase",
    ]);
    for (const name of names) {
      const help = await run([name, "--help"]);
      assert.equal(help.code, 0);
      assert.match(help.stdout, new RegExp(`^Usage: cli\\.ts ${name}`, "m"));
      for (const line of help.stdout.split("\n")) assert.ok(line.length <= 100, line);
    }
    assert.equal((await run([])).code, 2);
  });
});
