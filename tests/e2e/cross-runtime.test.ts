/** Real processes: envelopes between runtimes, and a device that is killed at any time. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { importIdentity } from "../../client/identity.ts";
import { SyncClient, textOf } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { FolderStore } from "../../client/stores/folder.ts";
import type { Line } from "../../protocol/types.ts";
import { openOn, RUNTIMES, STARTS_ALL, sealOn } from "../support/envelope-runtimes.ts";
import { temporaryFolder } from "../support/folder.ts";
import { serveHere } from "../support/http.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { commandFor, projectFolder } from "../support/process.ts";
import { until } from "../support/socket.ts";
import { newClient } from "../support/users.ts";
import vectors from "../vectors/envelope.json" with { type: "json" };

const { skip, note } = onlyOn("Node", STARTS_ALL);
describe(`envelopes of each runtime${note}`, { skip }, () => {
  const key = vectors.private_key_pkcs8;
  const texts = ["Buy milk.", "", "Füttere die Katze. 🐈"];
  const sealed: { client: string; lines: readonly Line[] }[] = [];
  before(async () => {
    for (const runtime of RUNTIMES) {
      const client = newClient();
      sealed.push({ client, lines: await sealOn(runtime, { key, client, texts }) });
    }
  });
  for (const opener of RUNTIMES) {
    it(`open on ${opener}`, async () => {
      const opened = await openOn(opener, { key, runs: sealed });
      assert.deepEqual(opened, [texts, texts, texts]);
    });
  }
});

describe("a device with a folder", () => {
  it("loses no appended operation and sends none twice, however often it is killed", async () => {
    const server = await serveHere();
    const folder = temporaryFolder();
    const { text: keyText, passphrase } = vectors.key_text;
    const appended: string[] = [];
    try {
      for (let life = 0; life < 4; life++) {
        const before = appended.length;
        const [command, ...args] = commandFor(join("tests", "support", "client-process.ts"));
        const child = spawn(command, [...args, server.url, folder.path, keyText, passphrase], {
          cwd: projectFolder,
          stdio: ["ignore", "pipe", "inherit"],
        });
        let output = "";
        child.stdout.on("data", (data) => {
          output += data;
        });
        const lines = () => output.split("\n").slice(0, -1);
        await until(() => lines().length >= 20 + life * 13);
        const closed = once(child, "close");
        process.kill(child.pid ?? 0, "SIGKILL");
        await closed;
        for (const line of lines()) {
          const [, event, detail = ""] = /^(\w+) (.*)$/.exec(line) ?? [];
          assert.equal(event, "appended", "it is the only device");
          appended.push(detail);
        }
        assert.ok(appended.length > before);
      }
      const identity = await importIdentity(keyText, passphrase);
      const store = await FolderStore.open(folder.path, identity);
      const last = await SyncClient.open({
        url: server.url,
        identity,
        store,
        receive: (_entries, _cursor, isOwn) => assert.ok(isOwn, "there is no other device"),
      });
      await last.sync();
      const created: string[] = [];
      for await (const some of last.entries()) {
        created.push(...some.map(({ data }) => textOf(data)));
      }
      await last.close();
      const received: string[] = [];
      const reader = await SyncClient.open({
        url: server.url,
        identity,
        store: new MemoryStore(),
        receive: (operations) => {
          received.push(...operations.map(({ data }) => textOf(data)));
        },
      });
      await reader.sync();
      await reader.close();
      assert.deepEqual(received, created);
      // Each kill may hide one more: an operation that was durable but not printed yet.
      assert.deepEqual(
        created.filter((one) => appended.includes(one)),
        appended,
      );
      assert.ok(created.length <= appended.length + 4);
      const clients = new Set(created.map((one) => one.split(" ")[0]));
      assert.equal(clients.size, 1, "each process had the same client id");
    } finally {
      await server.close();
      folder.remove();
    }
  });
});
