/** The documents for operators name every setting and every metric, and the command that CI runs. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { promisify } from "node:util";
import { ADVICE } from "../../commands/verify/findings.ts";
import { verify } from "../../commands/verify/verify.ts";
import { helpText } from "../../server/help.ts";
import { openStorage } from "../../storage/open.ts";
import { hashOfCode } from "../../sync/invites.ts";
import { blocksOf, read, section, startedHere } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { serveHere } from "../support/http.ts";
import { storeEach } from "../support/logs.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { projectFolder } from "../support/process.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const { skip } = onlyOn("Bun", "the commands are the same, whatever runs them");
/** What the commands begin with. */
const START = "node --import tsx server.ts";

describe("docs/settings.md", () => {
  it("lists every setting with its default, in the order of --help", () => {
    const known = [...helpText().matchAll(/^ {2}([A-Z_]+) +(\S+) /gm)];
    const table = section(read("docs/settings.md"), "All settings");
    const listed = [...table.matchAll(/^\| `([A-Z_]+)` \| `(.+?)` \|/gm)];
    const pairs = (found: RegExpMatchArray[]) => found.map(([, name, value]) => [name, value]);
    assert.deepEqual(pairs(listed), pairs(known));
    assert.ok(known.length > 0);
  });
});

describe("docs/operations.md", () => {
  it("lists every metric of the server", async () => {
    const table = section(read("docs/operations.md"), "Watch");
    const rows = [...table.matchAll(/^\| (`sync_.+?`) \|/gm)].map(([, names = ""]) => names);
    const listed = rows.flatMap((names) => [...names.matchAll(/`(sync_\w+)`/g)]);
    const { url, close } = await serveHere();
    try {
      const text = await (await fetch(new URL("/metrics", url))).text();
      const known = [...text.matchAll(/^# TYPE (sync_\w+) /gm)];
      const names = (found: RegExpMatchArray[]) => found.map(([, name]) => name).sort();
      assert.deepEqual(names(listed), names(known));
      assert.ok(known.length > 0);
    } finally {
      await close();
    }
  });
});

/** What runs the blocks of commands of docs/operations.md, by the heading above them. */
const RUN_BY: Readonly<Record<string, string>> = {
  "From nothing to a server": "tests/e2e/from-nothing.test.ts",
  "One file": "tests/e2e/deploy.test.ts",
  Executable: "tests/e2e/deploy.test.ts",
  systemd: "tests/docs/systemd.test.ts",
  "HTTPS at home": "tests/e2e/home.test.ts",
  "Ask the doctor": "tests/docs/operations.test.ts",
  "Restrict who can use it": "tests/docs/operations.test.ts",
  "Invite someone": "tests/docs/operations.test.ts",
  "Look at what is stored": "tests/docs/operations.test.ts",
  "Start by hand": "tests/e2e/several-servers.test.ts",
};

describe("the commands of docs/operations.md", () => {
  it("are run by tests, but for those of Docker", () => {
    const blocks = read("docs/operations.md").matchAll(/^#+ ([^\n]*)$|^```sh$(.*?)^```$/gms);
    let heading = "";
    const headings = new Set<string>();
    for (const [, title, commands] of blocks) {
      if (commands !== undefined) headings.add(heading);
      heading = title ?? heading;
    }
    assert.ok(headings.delete("Container"));
    assert.deepEqual([...headings], Object.keys(RUN_BY));
    for (const file of Object.values(RUN_BY)) assert.match(read(file), /operations\.md|npm run/);
  });

  it("run `doctor`, which finds that TLS is missing here", { skip, timeout: 120_000 }, async () => {
    const chapter = section(read("docs/operations.md"), "Put a proxy in front");
    const [command = ""] = blocksOf(chapter, "sh").filter((block) => block.includes("doctor"));
    const server = await serveHere({ MAX_WAIT: "1s" });
    const [file = "", ...args] = command
      .trim()
      .replace("https://sync.example", new URL(server.url).origin)
      .split(" ");
    const { stdout } = await promisify(execFile)(file, args, { cwd: projectFolder });
    await server.close();
    // A warning only: HTTP is accepted on this machine.
    assert.match(stdout, /Put a proxy with TLS in front/);
  });
});

describe("docs/operations.md, on what is stored", () => {
  const chapter = section(read("docs/operations.md"), "Look at what is stored");
  const folder = temporaryFolder();
  after(() => folder.remove());

  it("has commands that run as they are printed", { skip, timeout: 120_000 }, async () => {
    const storage = await openStorage(folder.path);
    await storeEach(storage, someFingerprint(), newClient(), ["one", "two"]);
    await storage.close();
    const lines = blocksOf(chapter, "sh").join("").trimEnd().split("\n");
    assert.equal(lines.length, 2);
    for (const line of lines) {
      assert.ok(line.endsWith(" ./data"), line);
      const command = startedHere(line, START).replace("./data", folder.path);
      const { stdout } = await promisify(execFile)("bash", ["-ec", command], {
        cwd: projectFolder,
      });
      assert.match(stdout, /1 user\b/);
    }
  });

  it("names every kind of finding, and every exit code", () => {
    const kinds = [...chapter.matchAll(/^\| `(\w+)` \|/gm)].map(([, kind]) => kind);
    assert.deepEqual(kinds, Object.keys(ADVICE));
    const codes = [...chapter.matchAll(/^\| (\d) \| .* \| (.*) \|$/gm)];
    const known = new Map(verify.exitCodes);
    for (const [, code, meaning = ""] of codes) {
      assert.ok(meaning.startsWith(known.get(Number(code)) ?? " "), meaning);
    }
    assert.equal(codes.length, known.size);
  });
});

describe("docs/operations.md, on the list of users", () => {
  it("has commands that run as they are printed", { skip, timeout: 120_000 }, async () => {
    const folder = temporaryFolder();
    const chapter = section(read("docs/operations.md"), "Restrict who can use it");
    const printed = blocksOf(chapter, "sh").join("");
    const commands = startedHere(printed, START).replace("./users", `${folder.path}/users`);
    const { stdout } = await promisify(execFile)("bash", ["-ec", commands], { cwd: projectFolder });
    const user = "H9oetl-x…";
    const lines = stdout.trimEnd().split("\n");
    assert.deepEqual(lines.slice(0, 3), [
      `added: ${user} quota=5GiB # Ada`,
      `${user} quota=5GiB # Ada`,
      `${user} removed; what it has stored stays`,
    ]);
    const list = readFileSync(join(folder.path, "users"), "utf8");
    const invite = new RegExp(
      `^invite=${hashOfCode(lines[3] ?? "")} expires=\\S+ quota=5GiB # Ada\n$`,
    );
    assert.match(list, invite);
    folder.remove();
  });
});

describe("CONTRIBUTING.md", () => {
  it("names the test command that .ci/run runs", () => {
    const [block] = blocksOf(section(read("CONTRIBUTING.md"), "Start"), "sh");
    const commands = block?.trim().split(" && ") ?? [];
    assert.ok(commands.length > 0);
    const run = read(".ci/run").trimEnd().split("\n");
    assert.deepEqual(
      run.filter((line) => commands.includes(line)),
      commands,
    );
    assert.equal(run.at(-1), commands.at(-1));
  });
});
