/** The notebook on the command line, while the server or the state of a device fails. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere } from "../support/http.ts";
import { logOf, openNotebook, run, start } from "../support/notebook-cli.ts";
import { portOf } from "../support/ports.ts";
import { until } from "../support/socket.ts";

describe("the notebook on the command line, while something fails", () => {
  const folder = temporaryFolder();
  const [laptop, phone] = [join(folder.path, "laptop"), join(folder.path, "phone")];
  let server: Serving | undefined;
  let key = "";
  const url = () => server?.url ?? "";
  before(async () => {
    server = await serveHere();
    key = await openNotebook(server.url, laptop, phone);
  });
  after(async () => {
    await server?.close();
    folder.remove();
  });

  it("keeps a note that it cannot send, says so, and sends it the next time", async () => {
    const away = join(folder.path, "away");
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

  it("keeps a note that the server refuses, and replaces control characters in the reason", async () => {
    const detail = "\x1b[2JThis key is not on the list.";
    const refusing = createServer((_, response) => {
      response.writeHead(403, { "Content-Type": "application/problem+json" });
      response.end(JSON.stringify({ type: "urn:sync-server:user-not-allowed", detail }));
    });
    await once(refusing.listen(0, "127.0.0.1"), "listening");
    try {
      const barred = join(folder.path, "barred");
      const server = `http://127.0.0.1:${portOf(refusing)}`;
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
});
