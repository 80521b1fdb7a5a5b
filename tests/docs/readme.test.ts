/** The commands and programs of README.md and of the documents it leads to are run as they stand. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { openStorage } from "../../storage/open.ts";
import { blocksOf, fences, read, runInBash, section, startedHere } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { commandFor, projectFolder, type ServerProcess, startServer } from "../support/process.ts";

const readme = read("README.md");
const quickStart = section(readme, "Quick start");

const byHand = section(read("docs/signed-requests.md"), "By hand");
const { skip: skipByHand, note: noteByHand } = onlyOn(
  "Bun",
  "openssl and curl do the same, whatever the server runs on",
);

const folder = temporaryFolder();
let server: ServerProcess | undefined;
before(async () => {
  server = await startServer({ STORAGE: join(folder.path, "data") });
});
after(async () => {
  await server?.end("SIGTERM");
  folder.remove();
});

/** Where the commands of the documents find the server. */
function origin(): string {
  return new URL(server?.url ?? "").origin;
}

let printing: Promise<string[]> | undefined;
/** What the quick start prints, and then the request that is signed by hand: with one key, once. */
function printedByHand(): Promise<string[]> {
  const commands = [...blocksOf(quickStart, "sh"), ...blocksOf(byHand, "sh")];
  printing ??= runInBash(commands, folder.path, { SERVER: origin() });
  return printing;
}

describe("README.md", () => {
  it("has a reader create only files that Git and the linter ignore", () => {
    const notebook = read("examples/notebook/README.md");
    const created = [
      ...readme.matchAll(/Save this as `(\S+?)`/g),
      ...notebook.matchAll(/--folder (\w+)/g),
      ...notebook.matchAll(/> (\S+\.txt)$/gm),
    ].map(([, name]) => name);
    assert.deepEqual([...new Set(created)].sort(), ["devices.ts", "key.txt", "laptop", "phone"]);
    const ignored = read(".gitignore").split("\n");
    for (const name of created) {
      assert.ok(ignored.includes(`/${name}`) || ignored.includes(`/${name}/`), name);
    }
  });

  it("has at most 180 lines", () => {
    const lines = readme.trimEnd().split("\n").length;
    assert.ok(lines <= 180, `it has ${lines} lines`);
  });

  it(`T-24 has a quick start in which device B decrypts what device A has sealed${noteByHand}`, {
    skip: skipByHand,
  }, async () => {
    const blocks = fences(quickStart);
    const commands = blocks.filter(({ language }) => language === "sh");
    assert.equal(commands.length, 5);
    const printed = await printedByHand();
    // The output of a block is shown below it, except for ciphertext, which differs every time.
    commands.forEach((command, i) => {
      const below = blocks[blocks.indexOf(command) + 1];
      if (below?.language === "text") assert.equal(printed[i], below.body, command.body);
    });

    const note = /^echo '(.*)' > note\.txt$/m.exec(commands[1]?.body ?? "")?.[1];
    assert.ok(note);
    assert.equal(printed[3], `${note}\n`);
    const [operation, ...others] = (printed[2] ?? "").trimEnd().split("\n");
    assert.deepEqual(others, []);
    const storage = await openStorage(join(folder.path, "data"));
    // Beside the operation is what says that the user signs.
    const stored = (await storage.list(""))
      .filter(({ name }) => !name.endsWith(".signed"))
      .map(({ name }) => storage.get(name));
    const texts = (await Promise.all(stored)).map((body) => Buffer.from(body).toString());
    await storage.close();
    assert.deepEqual(texts, [JSON.parse(operation ?? "").payload]);
  });

  it("has a client that runs as it is printed, and prints what README.md shows", async () => {
    const [program, printed, ...rest] = fences(section(readme, "Client in 15 lines"));
    assert.equal(program?.language, "ts");
    assert.equal(rest.length, 0);
    const lines = program?.body.split("\n").filter((line) => line !== "") ?? [];
    assert.ok(lines.length <= 15, `it has ${lines.length} lines`);
    for (const name of ["client", "protocol"]) {
      symlinkSync(join(projectFolder, name), join(folder.path, name));
    }
    writeFileSync(join(folder.path, "package.json"), '{"type":"module"}');
    writeFileSync(join(folder.path, "devices.ts"), program?.body ?? "");
    const [command, ...args] = commandFor(join(folder.path, "devices.ts"));
    const { stdout } = await promisify(execFile)(command, args, {
      cwd: projectFolder,
      env: { ...process.env, NO_COLOR: "1", SERVER: origin() },
    });
    assert.equal(stdout, printed?.body);
  });
});

describe("docs/signed-requests.md", () => {
  it(`signs a request with openssl, and the same request is refused without its signature${noteByHand}`, {
    skip: skipByHand,
  }, async () => {
    const expected = blocksOf(byHand, "text");
    assert.equal(expected.length, 2);
    assert.deepEqual((await printedByHand()).slice(-2), expected);
  });
});

describe("examples/notebook/README.md", () => {
  const { skip, note } = onlyOn("Node", "tests/e2e/cli.test.ts starts it on each runtime");
  it(`has a command line that runs as it is printed, and brings a note to another device${note}`, {
    skip,
  }, async () => {
    const document = section(read("examples/notebook/README.md"), "The command line");
    const [commands, ...rest] = fences(document);
    assert.equal(rest.length, 0);
    const own = temporaryFolder();
    for (const name of ["client", "examples", "protocol", "node_modules"]) {
      symlinkSync(join(projectFolder, name), join(own.path, name));
    }
    writeFileSync(join(own.path, "package.json"), '{"type":"module"}');
    try {
      const started = startedHere(commands?.body ?? "", "npx tsx examples/notebook/cli/cli.ts");
      const [printed = ""] = await runInBash([started], own.path, { SYNC_SERVER: origin() });
      const text = / send '(.*?)' /.exec(commands?.body ?? "")?.[1];
      assert.ok(text !== undefined && printed.endsWith(`  ${text}\n`), printed);
    } finally {
      own.remove();
    }
  });
});
