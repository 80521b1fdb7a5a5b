/** The examples of README.md and the Containerfile are run here, as they stand. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import manifest from "../../package.json" with { type: "json" };
import { helpText } from "../../server/config.ts";
import { fences, filesIn, read, runInBash, section } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { commandFor, projectFolder, type ServerProcess, startServer } from "../support/process.ts";

const readme = read("README.md");

describe("README.md", () => {
  const folder = temporaryFolder();
  let server: ServerProcess | undefined;
  before(async () => {
    server = await startServer({ STORAGE: join(folder.path, "data") });
  });
  after(async () => {
    await server?.end("SIGTERM");
    folder.remove();
  });

  it("has a quick start in which device B decrypts what device A has sealed", async () => {
    const blocks = fences(section(readme, "Quick start"));
    const commands = blocks.filter(({ language }) => language === "sh");
    assert.equal(commands.length, 5);
    const printed = await runInBash(
      commands.map(({ body }) => body),
      folder.path,
      { SERVER: new URL(server?.url ?? "").origin },
    );
    // What a block prints stands below it, except for ciphertext, which differs every time.
    commands.forEach((command, i) => {
      const below = blocks[blocks.indexOf(command) + 1];
      if (below?.language === "text") assert.equal(printed[i], below.body, command.body);
    });

    const note = /^echo '(.*)' > note\.txt$/m.exec(commands[1]?.body ?? "")?.[1];
    assert.ok(note);
    assert.equal(printed[3], `${note}\n`);
    const [operation, ...others] = (printed[2] ?? "").trimEnd().split("\n");
    assert.deepEqual(others, []);
    const stored = filesIn(join(folder.path, "data")).map((path) => readFileSync(path, "utf8"));
    assert.deepEqual(stored, [JSON.parse(operation ?? "").payload]);
  });

  it("has a client that runs as it is printed, and prints what it says", async () => {
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
      env: { ...process.env, NO_COLOR: "1", SERVER: new URL(server?.url ?? "").origin },
    });
    assert.equal(stdout, printed?.body);
  });

  it("signs a request with openssl, and the same request is refused without its signature", async () => {
    const quickStart = fences(section(readme, "Quick start"));
    const blocks = fences(section(readme, "Signed requests"));
    const commands = (list: typeof blocks) =>
      list.filter(({ language }) => language === "sh").map(({ body }) => body);
    const told = blocks.filter(({ language }) => language === "text").map(({ body }) => body);
    assert.equal(told.length, 2);
    const printed = await runInBash([...commands(quickStart), ...commands(blocks)], folder.path, {
      SERVER: new URL(server?.url ?? "").origin,
    });
    assert.deepEqual(printed.slice(-2), told);
  });

  // It is started by tsx, on Node, whatever runs this test; tests/e2e/cli.test.ts starts it on each.
  const notNode = process.versions.bun ?? process.versions.deno;
  it("has a command line that runs as it is printed, and brings a note to another device", {
    skip: notNode !== undefined,
  }, async () => {
    const [commands, ...rest] = fences(section(readme, "See it"));
    assert.equal(rest.length, 0);
    const own = temporaryFolder();
    for (const name of ["client", "examples", "protocol", "node_modules"]) {
      symlinkSync(join(projectFolder, name), join(own.path, name));
    }
    writeFileSync(join(own.path, "package.json"), '{"type":"module"}');
    try {
      const [printed = ""] = await runInBash([commands?.body ?? ""], own.path, {
        SYNC_SERVER: new URL(server?.url ?? "").origin,
      });
      const text = / send '(.*?)' /.exec(commands?.body ?? "")?.[1];
      assert.ok(text !== undefined && printed.endsWith(`  ${text}\n`), printed);
    } finally {
      own.remove();
    }
  });

  it("lists every setting with its default", () => {
    const known = [...helpText().matchAll(/^ {2}([A-Z_]+) +(\S+) /gm)];
    const listed = [...section(readme, "Settings").matchAll(/^\| `([A-Z_]+)` \| `(.+?)` \|/gm)];
    const pairs = (found: RegExpMatchArray[]) => found.map(([, name, value]) => [name, value]);
    assert.deepEqual(pairs(listed), pairs(known));
    assert.ok(known.length > 0);
  });

  it("names the test command that .ci/run runs", () => {
    const [command] = fences(section(readme, "Tests")).map(({ body }) => body.trim());
    assert.ok(command);
    const run = read(".ci/run").trimEnd().split("\n");
    const commands = command.split(" && ");
    assert.deepEqual(
      run.filter((line) => commands.includes(line)),
      commands,
    );
    assert.equal(run.at(-1), commands.at(-1));
  });
});

describe("Containerfile", () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  it("copies all that the build needs, and starts what it makes", async () => {
    const containerfile = read("Containerfile");
    const copied = [...containerfile.matchAll(/^COPY ([^-].*) \S+$/gm)].flatMap(
      ([, sources]) => sources?.split(" ") ?? [],
    );
    const ignored = read(".dockerignore").split("\n");
    for (const source of copied) {
      assert.ok(ignored.includes(`!${source}`), `${source} is kept out by .dockerignore`);
      const ending = source.startsWith("*") ? source.slice(1) : undefined;
      const paths =
        ending === undefined
          ? [source]
          : readdirSync(projectFolder).filter((path) => path.endsWith(ending));
      for (const path of paths) {
        cpSync(join(projectFolder, path), join(folder.path, path), { recursive: true });
      }
    }
    const modules = join(projectFolder, "node_modules");
    symlinkSync(modules, join(folder.path, "node_modules"));
    assert.match(containerfile, /^RUN npm run build$/m);
    const [bun = "", ...args] = manifest.scripts.build.split(" ");
    await promisify(execFile)(join(modules, ".bin", bun), args, { cwd: folder.path });
    assert.ok(existsSync(join(folder.path, "dist", "server.js")));
    assert.match(containerfile, /^COPY --from=build \/app\/dist\/server\.js \.\/$/m);
    assert.match(containerfile, /^CMD \["node", "server\.js"\]$/m);
  });
});
