/** What the notebook on the command line keeps of other devices: there without the server, and sealed. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere } from "../support/http.ts";
import { metricOf } from "../support/metrics.ts";
import { logOf, ONE_COMMAND_LINE, openNotebook, run } from "../support/notebook-cli.ts";
import { onlyOn } from "../support/one-runtime.ts";

const { skip, note } = onlyOn("Bun", ONE_COMMAND_LINE);

describe(`what the notebook on the command line received${note}`, { skip }, () => {
  const folder = temporaryFolder();
  const [laptop, phone] = [join(folder.path, "laptop"), join(folder.path, "phone")];
  const cache = join(phone, "received.log");
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

  it("is downloaded once, whatever command comes first", async () => {
    await send(expected[2], laptop);
    const first = await sent(() => run(["status", "--folder", phone]));
    assert.equal(first, 1, "send has received the other one");
    assert.equal(await sent(async () => assert.deepEqual(await logOf(phone), expected)), 0);
  });

  it("is encrypted, in a file that only its owner can read", () => {
    assert.equal(statSync(cache).mode & 0o077, 0);
    const lines = readFileSync(cache, "latin1").trimEnd().split("\n");
    assert.equal(lines.length, 3, "the key, and a row of each delivery");
    for (const line of lines) {
      const bytes = line
        .split(".")
        .map((part) => Buffer.from(part, "base64url").toString("latin1"));
      // With a space or a quote, which no base64 has by chance.
      assert.doesNotMatch(`${line}${bytes}`, /the cat|the dog|"text"|"client"/);
    }
  });

  it("comes from the server again where the file is damaged", async () => {
    const whole = readFileSync(cache, "latin1");
    writeFileSync(cache, `${whole.slice(0, -9)}AAAAAAAA\n`);
    assert.equal(await sent(async () => assert.deepEqual(await logOf(phone), expected)), 1);
    writeFileSync(cache, `x${whole.slice(1)}`);
    assert.equal(await sent(async () => assert.deepEqual(await logOf(phone), expected)), 2);
  });

  it("is there when the server is gone, and stays if the server has not erased everything", async () => {
    await server?.close();
    server = undefined;
    const { code, stdout, stderr } = await run(["log", "--folder", phone]);
    for (const text of expected) assert.ok(stdout.includes(`${text}\n`), text);
    assert.match(stderr, /^Warning: .*Notes of other devices may be missing\.$/m);
    assert.equal(code, 1);
    assert.equal((await run(["erase", "--yes", "--folder", phone])).code, 1);
    assert.ok(existsSync(cache));
  });
});
