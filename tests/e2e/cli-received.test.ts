/** What the notebook on the command line keeps of other devices: there without the server, and sealed. */
import assert from "node:assert/strict";
import {
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere } from "../support/http.ts";
import { metricOf } from "../support/metrics.ts";
import { logOf, openNotebook, run } from "../support/notebook-cli.ts";

describe("what the notebook on the command line received", () => {
  const folder = temporaryFolder();
  const [laptop, phone] = [join(folder.path, "laptop"), join(folder.path, "phone")];
  const expected = ["Feed the cat.", "Buy milk.", "and the dog"];
  let server: Serving | undefined;
  const delivered = () => metricOf(server?.url ?? "", 'sync_operations_total{result="delivered"}');
  /** How many operations the server sends while something is done. */
  const sent = async (work: () => Promise<unknown>) => {
    const earlier = await delivered();
    await work();
    return (await delivered()) - earlier;
  };
  const send = async (text: string | undefined, device: string) => {
    const { code, stderr } = await run(["send", text ?? "", "--folder", device]);
    assert.equal(code, 0, stderr);
  };
  /** The file with the operations of the laptop. */
  const kept = () => {
    const [user = ""] = readdirSync(join(phone, "store"));
    const slot = join(phone, "store", user, "0");
    const [name, ...others] = readdirSync(slot).filter((one) => one.endsWith(".received"));
    assert.deepEqual(others, []);
    return join(slot, name ?? "");
  };
  before(async () => {
    server = await serveHere();
    await openNotebook(server.url, laptop, phone);
    await send(expected[0], laptop);
    await send(expected[1], phone);
  });
  after(async () => {
    await server?.close();
    folder.remove();
  });

  it("is downloaded once, but for the newest of each device, which a command asks for again", async () => {
    await send(expected[2], laptop);
    const first = await sent(() => run(["status", "--folder", phone]));
    assert.equal(first, 2, "send has received the first one");
    assert.equal(await sent(async () => assert.deepEqual(await logOf(phone), expected)), 1);
  });

  it("is encrypted, in a file that only its owner can read", () => {
    assert.equal(statSync(kept()).mode & 0o077, 0);
    const lines = readFileSync(kept(), "latin1").trimEnd().split("\n");
    assert.equal(lines.length, 2, "an operation each");
    for (const line of lines) {
      const bytes = Buffer.from(line, "base64url").toString("latin1");
      // With a space or a quote, which no base64 has by chance.
      assert.doesNotMatch(`${line}${bytes}`, /the cat|the dog|"text"|"client"/);
    }
  });

  it("comes from the server again where the file is damaged, and is printed", async () => {
    const whole = readFileSync(kept(), "latin1");
    const [zero = "", one = ""] = whole.split("\n");
    for (const damaged of [`${zero}\n${one.slice(0, -9)}AAAAAAAAA\n`, `x${whole.slice(1)}`]) {
      writeFileSync(kept(), damaged);
      // The one that the command asks for again, and then both.
      assert.equal(await sent(async () => assert.deepEqual(await logOf(phone), expected)), 3);
      assert.deepEqual(readFileSync(kept(), "latin1"), whole);
    }
  });

  it("comes from the server again where the file has lost its end, with a warning", async () => {
    const whole = readFileSync(kept(), "latin1");
    truncateSync(kept(), whole.length - 5);
    const { code, stdout, stderr } = await run(["log", "--folder", phone]);
    assert.equal(code, 0, stderr);
    for (const text of expected) assert.ok(stdout.includes(`${text}\n`), text);
    assert.match(stderr, /^Warning: .*has lost operations.*$/m);
    assert.deepEqual(readFileSync(kept(), "latin1"), whole);
  });

  it("is there when the server is gone, and stays if the server has not erased everything", async () => {
    await server?.close();
    server = undefined;
    const { code, stdout, stderr } = await run(["log", "--folder", phone]);
    for (const text of expected) assert.ok(stdout.includes(`${text}\n`), text);
    assert.match(stderr, /^Warning: .*Notes of other devices may be missing\.$/m);
    assert.equal(code, 1);
    assert.equal((await run(["erase", "--yes", "--folder", phone])).code, 1);
    assert.ok(existsSync(kept()));
  });

  it("is left out, with a warning, where it is damaged and the server is gone", async () => {
    const text = readFileSync(kept(), "latin1");
    writeFileSync(kept(), `${text.slice(0, 40)}${text[40] === "A" ? "B" : "A"}${text.slice(41)}`);
    const { code, stdout, stderr } = await run(["log", "--folder", phone]);
    assert.equal(stdout.includes("Buy milk.\n"), true);
    assert.equal(stdout.includes("Feed the cat.\n"), false);
    assert.match(stderr, /^Warning: operation 0 of .* cannot be read\. Notes after it/m);
    assert.equal(code, 1);
  });
});
