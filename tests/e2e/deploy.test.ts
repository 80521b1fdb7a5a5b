/** The files of `npm run build` and `npm run compile`: built, moved to an empty folder, started. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import manifest from "../../package.json" with { type: "json" };
import { temporaryFolder } from "../support/folder.ts";
import { sync } from "../support/http.ts";
import { metricOf } from "../support/metrics.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { type Program, projectFolder, runToEnd, startServer } from "../support/process.ts";
import { hasRedis, startRedis } from "../support/redis.ts";
import { newPlace, s3 } from "../support/s3.ts";
import { newClient, newUser } from "../support/users.ts";

const user = newUser().base64;

const bin = (name: string) => join(projectFolder, "node_modules", ".bin", name);

deployable("the one file", {
  script: "build",
  file: "server.js",
  // The runtime may not download what the file lacks.
  commands: {
    node: (file) => [process.execPath, file],
    bun: (file) => [bin("bun"), "--no-install", file],
    deno: (file) => [bin("deno"), "run", "--allow-all", "--no-remote", "--no-npm", file],
  },
});

deployable("the executable", {
  script: "compile",
  file: "sync-server",
  commands: { bun: (file) => [file] },
});

type Command = (file: string) => [string, ...string[]];

interface Deployable {
  readonly script: "build" | "compile";
  /** The name of the output in `dist`. */
  readonly file: string;
  /** The commands that start it, by the runtime that it then runs on. */
  readonly commands: Readonly<Partial<Record<"node" | "bun" | "deno", Command>>>;
}

function deployable(name: string, { script, file, commands }: Deployable): void {
  const { skip, note } = onlyOn("Node", "the test on Node starts it on each runtime");
  describe(`${name}${note}`, { skip }, () => {
    const folder = temporaryFolder();
    const alone = join(folder.path, "alone");
    before(async () => {
      const made = join(folder.path, "dist", file);
      await build(script, file, made);
      mkdirSync(alone);
      renameSync(made, join(alone, file));
    });
    after(() => folder.remove());

    for (const [runtime, command] of Object.entries(commands)) {
      describe(`on ${runtime}`, () => {
        const program: Program = { command: command(join(alone, file)), folder: alone };

        it("starts alone in a folder, syncs, serves the page, and stops on SIGTERM", async () => {
          assert.deepEqual(readdirSync(alone), [file]);
          const server = await startServer(
            { STORAGE: join(folder.path, `data of ${runtime}`) },
            program,
          );
          await exchange(server.url);
          assert.equal(await server.end("SIGTERM"), 0);
          assert.deepEqual(readdirSync(alone), [file]);
        });

        it("listens with its runtime's own server", async () => {
          const server = await startServer({ STORAGE: "memory:" }, program);
          // Bun and Deno send this only from their copies of Node's server.
          const isNodes = /^keep-alive: timeout/im.test(await headOf(server.port));
          assert.equal(isNodes, runtime === "node");
          assert.equal(await server.end("SIGINT"), 0);
        });

        if (script === "build") {
          it("starts no server when it is imported", async () => {
            const importer = join(folder.path, "importer.mjs");
            const lines = [
              `import { createHandler } from "./alone/${file}";`,
              "console.log(typeof createHandler);",
            ];
            writeFileSync(importer, lines.join("\n"));
            const imported = await runToEnd([], {}, { ...program, command: command(importer) });
            assert.deepEqual(imported, { code: 0, stdout: "function\n", stderr: "" });
          });
        }

        // The rest is what the file holds, whatever runs it.
        if (command !== Object.values(commands)[0]) return;

        it("prints its version and help, and rejects other arguments", async () => {
          const version = await runToEnd(["--version"], {}, program);
          assert.deepEqual(version, { code: 0, stdout: `${manifest.version}\n`, stderr: "" });
          const help = await runToEnd(["--help"], {}, program);
          const fromSource = await runToEnd(["--help"]);
          assert.deepEqual(help, fromSource);
          assert.equal((await runToEnd(["--nonsense"], {}, program)).code, 2);
        });

        it("contains the S3 driver", async () => {
          const { code, stderr } = await runToEnd(
            [],
            {
              STORAGE: "s3://bucket",
              PORT: "0",
              // Nothing listens on port 1.
              AWS_ENDPOINT_URL: "http://127.0.0.1:1",
              AWS_REGION: "us-east-1",
              AWS_ACCESS_KEY_ID: "id",
              AWS_SECRET_ACCESS_KEY: "secret",
              AWS_MAX_ATTEMPTS: "1",
            },
            program,
          );
          assert.equal(code, 1, stderr);
          assert.match(stderr, /could not list in the bucket bucket: it is not reachable/);
        });

        it("syncs on S3", { skip: s3 === undefined && "there is no S3 server" }, async () => {
          const server = await startServer({ STORAGE: newPlace() }, program);
          await exchange(server.url);
          assert.equal(await server.end("SIGTERM"), 0);
        });

        it("contains the client of Redis", {
          skip: !hasRedis && "there is no redis-server",
        }, async () => {
          const redis = await startRedis();
          try {
            const settings = {
              STORAGE: join(folder.path, `shared by ${runtime}`),
              CLUSTER: redis.url,
            };
            const server = await startServer(settings, program);
            assert.equal(await metricOf(server.url, "sync_cluster_reached"), 1);
            assert.equal(await server.end("SIGTERM"), 0);
          } finally {
            await redis.remove();
          }
        });
      });
    }
  });
}

/** Runs the script of package.json with another output file. */
async function build(script: "build" | "compile", file: string, made: string): Promise<void> {
  const line = manifest.scripts[script];
  const [bun, ...args] = line.split(" ").map((word) => (word === `dist/${file}` ? made : word));
  assert.equal(bun, "bun");
  assert.equal(args.at(-1), made);
  await promisify(execFile)(join(projectFolder, "node_modules", ".bin", bun), args, {
    cwd: projectFolder,
  });
}

/** One device sends an operation and another receives it; then the page and the health are asked for. */
async function exchange(url: string): Promise<void> {
  const operation = { client_id: newClient(), operation_index: 0, payload: "sealed" };
  assert.equal((await sync(url, { user, ...operation })).status, 200);
  const { operations } = await sync(url, { user, client_id: newClient() });
  assert.deepEqual(operations, [operation]);
  const page = await fetch(url);
  assert.match(await page.text(), /<title>Notebook/);
  const script = await fetch(new URL("/page/notebook.js", url));
  assert.match(await script.text(), /createIdentity/);
  const icon = await (await fetch(new URL("/page/icon-192.png", url))).arrayBuffer();
  assert.equal(Buffer.from(icon, 1, 3).toString(), "PNG");
  const ready = await fetch(new URL("/ready", url));
  assert.deepEqual(await ready.json(), { status: "ready" });
}

/** The head of a response as it is sent, of which `fetch` shows only a part. */
async function headOf(port: number): Promise<string> {
  const socket = net.connect(port, "localhost");
  socket.write("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const [data] = await once(socket, "data");
  socket.destroy();
  const [head] = String(data).split("\r\n\r\n");
  assert.match(head ?? "", /^HTTP\/1\.1 200/);
  return head ?? "";
}
