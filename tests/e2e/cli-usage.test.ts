/** The notebook on the command line: its help, and what it says when it is used wrongly. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { type RunOptions, run } from "../support/notebook-cli.ts";

describe("the notebook on the command line, used wrongly", () => {
  const folder = temporaryFolder();
  const laptop = join(folder.path, "laptop");
  before(async () => {
    const made = await run(["init", "--bits", "2048", "--folder", laptop]);
    assert.equal(made.code, 0, made.stderr);
  });
  after(() => folder.remove());

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
    ["a note that grows too large", ["send"], { input: "x".repeat(2 ** 23 + 1) }, /8 MiB/, 1],
    ["a note that is not there", ["edit", "00", "x"], {}, /no note 00: log prints the id/, 1],
    ["an edit without a note", ["edit"], {}, /edit needs the id of a note/, 2],
    ["an edit without a text", ["edit", "00"], { input: "\n" }, /the text is empty: delete/, 1],
    ["a deletion without a note", ["delete"], {}, /delete needs the ids of notes/, 2],
    ["a search without a word", ["search"], {}, /search needs a word/, 2],
    ["a name without a letter", ["rename", " "], {}, /rename needs a name/, 2],
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

  it("has help for the program and for every command", async () => {
    const { code, stdout } = await run(["--help"]);
    assert.equal(code, 0);
    const names = [...stdout.matchAll(/^ {2}(\w+) {2,}\w/gm)].map(([, name = ""]) => name);
    assert.deepEqual(names, [
      "init",
      "pair",
      "export",
      "import",
      "recovery",
      "send",
      "log",
      "watch",
      "search",
      "edit",
      "delete",
      "rename",
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
