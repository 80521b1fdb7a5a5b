/** The notebook on the command line: notes that are edited, deleted and searched, and names of devices. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere } from "../support/http.ts";
import { logOf, openNotebook, run, start } from "../support/notebook-cli.ts";
import { until } from "../support/socket.ts";

describe("notes on the command line", () => {
  const folder = temporaryFolder();
  const [laptop, phone] = [join(folder.path, "laptop"), join(folder.path, "phone")];
  let server: Serving | undefined;
  before(async () => {
    server = await serveHere();
    await openNotebook(server.url, laptop, phone);
    const input = "Buy milk.\nFeed the cat.\nCall home.\n";
    assert.equal((await run(["send", "--folder", laptop], { input })).code, 0);
  });
  after(async () => {
    await server?.close();
    folder.remove();
  });

  /** The id that `log` prints of a note. */
  async function idOf(text: string, device: string): Promise<string> {
    const { stdout } = await run(["log", "--folder", device]);
    const line = stdout.split("\n").find((one) => one.includes(text)) ?? "";
    const [, id = ""] = /UTC {2}([0-9a-f]{8}) {2}/.exec(line) ?? [];
    assert.notEqual(id, "", `${text} is in ${stdout}`);
    return id;
  }

  it("are edited by a text, a file and standard input, on another device than they were written", async () => {
    const id = await idOf("Buy milk.", phone);
    const edited = await run(["edit", id, "Buy", "milk", "and bread.", "--folder", phone]);
    assert.deepEqual([edited.code, edited.stdout, edited.stderr], [0, "", "edited 1 note\n"]);
    assert.ok((await logOf(laptop)).includes("Buy milk and bread."));
    const input = "Buy milk,\nand bread.\n";
    const again = await run(["edit", id.slice(0, 6), "--folder", laptop], { input });
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(await logOf(phone), ["Buy milk,\nand bread.", "Feed the cat.", "Call home."]);
  });

  it("have the words of both devices where one of them edits without the server", async () => {
    const id = await idOf("Feed the cat.", phone);
    const away = await serveHere();
    await away.close();
    const settings = join(phone, "device.json");
    const before = readFileSync(settings, "utf8");
    writeFileSync(settings, before.replace(server?.url ?? "", away.url));
    const offline = await run(["edit", id, "Feed the cat and the dog.", "--folder", phone]);
    assert.equal(offline.code, 1);
    assert.match(offline.stderr, /^Error: .*\(1\) are kept in .*phone; the next send/s);
    writeFileSync(settings, before);
    assert.equal((await run(["edit", id, "Now feed the cat.", "--folder", laptop])).code, 0);
    assert.ok((await logOf(phone)).includes("Now feed the cat and the dog."));
    assert.ok((await logOf(laptop)).includes("Now feed the cat and the dog."));
  });

  it("are searched by words in any order and in any case", async () => {
    const found = await run(["search", "DOG", "now", "--folder", phone]);
    assert.deepEqual([found.code, found.stderr], [0, ""]);
    assert.match(found.stdout, /^.{16} UTC {2}[0-9a-f]{8} {2}Now feed the cat and the dog\.\n$/);
    const json = await run(["search", "dog", "--json", "--folder", phone]);
    const { edited, device, ...rest } = JSON.parse(json.stdout);
    assert.equal(rest.text, "Now feed the cat and the dog.");
    assert.deepEqual([typeof edited, device], ["number", hostname()]);
    assert.equal((await run(["search", "unicorn", "--folder", phone])).stdout, "");
  });

  it("are deleted on all devices, and watch says so, as it shows what is edited", async () => {
    const watching = start(["watch", "--folder", phone]);
    await until(() => watching.stdout().includes("Call home."));
    const id = await idOf("Call home.", laptop);
    assert.equal((await run(["edit", id, "Call mum.", "--folder", laptop])).code, 0);
    await until(() => watching.stdout().includes("Call mum."));
    const deleted = await run(["delete", id, "--folder", laptop]);
    assert.deepEqual([deleted.code, deleted.stderr], [0, ""]);
    assert.equal(deleted.stdout, `deleted ${id}  Call mum.\n`);
    await until(() => watching.stdout().includes(`${id}  (deleted)`));
    process.kill(watching.child.pid ?? 0, "SIGTERM");
    assert.equal((await watching.ended).code, 0);
    assert.equal((await logOf(phone)).length, 2);
    const again = await run(["delete", id, "--folder", phone]);
    assert.equal(again.code, 1);
    assert.match(again.stderr, new RegExp(`^Error: there is no note ${id}: log prints the id`));
  });

  it("show the names of devices", async () => {
    const called = await run(["rename", "my", "laptop", "--folder", laptop]);
    assert.deepEqual(
      [called.code, called.stdout],
      [0, `${laptop} is called my laptop on all devices\n`],
    );
    const { stdout } = await run(["status", "--folder", phone]);
    assert.match(stdout, /^ {2}[0-9a-f]{8} +my laptop, heard of just now/m);
    assert.match(
      (await run(["status", "--folder", laptop])).stdout,
      /^this device +my laptop, [0-9a-f-]{36}, \d note/m,
    );
  });
});
