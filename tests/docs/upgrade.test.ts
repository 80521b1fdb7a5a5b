/** The commands of docs/upgrade.md, on a storage that a server uses. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { promisify } from "node:util";
import { copy } from "../../commands/copy/copy.ts";
import { blocksOf, read, section, startedHere } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { sync } from "../support/http.ts";
import { projectFolder, startServer } from "../support/process.ts";
import { newPlace, removePlace, s3 } from "../support/s3.ts";
import { newClient, newUser } from "../support/users.ts";

const document = read("docs/upgrade.md");

describe("docs/upgrade.md", () => {
  const folder = temporaryFolder();
  after(() => folder.remove());
  const user = newUser().base64;
  const client = newClient();

  /** Runs the command of a chapter on other places. */
  const run = async (title: string, bucket = "") => {
    const blocks = blocksOf(section(document, title), "sh");
    assert.equal(blocks.length, 1);
    const commands = startedHere(blocks[0] ?? "", "node --import tsx server.ts")
      .replaceAll("./", `${folder.path}/`)
      .replaceAll("s3://bucket/prefix", bucket);
    const done = await promisify(execFile)("bash", ["-ec", commands], { cwd: projectFolder });
    return done.stdout;
  };
  const serve = (storage: string) => startServer({ STORAGE: storage });
  const append = async (url: string, operation_index: number) => {
    const operation = { client_id: client, operation_index, payload: `${operation_index}` };
    return (await sync(url, { user, ...operation })).status;
  };
  const payloadsOf = async (url: string) => {
    const { operations } = await sync(url, { user, client_id: newClient() });
    return operations.map(({ payload }) => payload);
  };

  it("backs up while the server runs, and restores what was acknowledged", async () => {
    const data = join(folder.path, "data");
    const server = await serve(data);
    for (const index of [0, 1]) assert.equal(await append(server.url, index), 200);
    assert.match(await run("Back up"), /^1 user, 2 objects copied .*: the copy is whole$/m);
    assert.equal(await append(server.url, 2), 200);
    assert.match(await run("Back up"), /1 object copied .*, 2 there already: the copy is whole$/m);
    assert.equal(await append(server.url, 3), 200);
    assert.equal(await server.end("SIGTERM"), 0);

    assert.match(await run("Restore"), /^1 user, 3 objects copied .*: the copy is whole$/m);
    const restored = await serve(data);
    assert.deepEqual(await payloadsOf(restored.url), ["0", "1", "2"]);
    // The answer names the operation that is missing, and the device sends it again.
    assert.equal(await append(restored.url, 4), 409);
    for (const index of [3, 4]) assert.equal(await append(restored.url, index), 200);
    assert.equal(await restored.end("SIGTERM"), 0);
  });

  it("moves to a bucket in two steps, with what came between them", {
    skip: s3 === undefined && "there is no S3 server",
  }, async () => {
    const bucket = newPlace();
    const server = await serve(join(folder.path, "data"));
    const first = (await payloadsOf(server.url)).length;
    assert.match(await run("Move", bucket), /the copy is whole$/m);
    assert.equal(await append(server.url, first), 200);
    assert.equal(await server.end("SIGTERM"), 0);
    assert.match(await run("Move", bucket), / 1 object copied .*: the copy is whole$/m);
    const moved = await serve(bucket);
    assert.equal((await payloadsOf(moved.url)).length, first + 1);
    assert.equal(await append(moved.url, first + 1), 200);
    assert.equal(await moved.end("SIGTERM"), 0);
    await removePlace(bucket);
  });

  it("names every exit code of copy", () => {
    const codes = [...section(document, "Back up").matchAll(/^\| (\d) \| (.*) \|$/gm)];
    const known = new Map(copy.exitCodes);
    for (const [, code, meaning = ""] of codes) {
      const plain = meaning.replaceAll("`", "");
      const [start = " "] = (known.get(Number(code)) ?? " ").split(/[:,]/);
      assert.ok(plain.startsWith(start), meaning);
    }
    assert.equal(codes.length, known.size);
  });
});
