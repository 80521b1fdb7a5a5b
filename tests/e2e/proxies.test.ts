/** Requests that wait for news, through real proxies with their default settings. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import net from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere, sync } from "../support/http.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";
import { ended, LONG, untilWaiting, waitFor } from "../support/waiting.ts";

/** Where a proxy listens, and where it forwards to. */
interface Ports {
  readonly http1: number;
  readonly http2: number;
  readonly server: number;
}

interface Proxy {
  readonly name: string;
  readonly config: (ports: Ports, folder: string) => string;
  readonly args: (config: string, folder: string) => readonly string[];
}

const nginx: Proxy = {
  name: "nginx",
  config: ({ http1, http2, server }, folder) => {
    const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    const paths = kinds.map((kind) => `${kind}_temp_path ${join(folder, kind)};`).join("\n");
    const site = (listen: string) =>
      `server { listen 127.0.0.1:${listen}; location / { proxy_pass http://localhost:${server}; } }`;
    // Where the master is root, its workers would be someone who may not write into the folder.
    const user = process.getuid?.() === 0 ? "user root;" : "";
    return `${user} daemon off; pid ${join(folder, "pid")}; error_log ${join(folder, "log")};
events {}
http { access_log off; ${paths} ${site(`${http1}`)} ${site(`${http2} http2`)} }`;
  },
  args: (config, folder) => ["-c", config, "-e", join(folder, "log")],
};

const caddy: Proxy = {
  name: "caddy",
  config: ({ http1, http2, server }) =>
    `{
  admin off
  auto_https off
  servers { protocols h1 h2c }
}
http://127.0.0.1:${http1}, http://127.0.0.1:${http2} { reverse_proxy localhost:${server} }
`.replace(/\{ (?=protocols|reverse)(.*) \}/g, "{\n    $1\n  }"),
  args: (config) => ["run", "--adapter", "caddyfile", "--config", config],
};

const { skip, note } = onlyOn("Node", "a proxy shows the same on each");
for (const proxy of [nginx, caddy]) {
  const isMissing = spawnSync(proxy.name, ["version"]).error !== undefined;
  const why = isMissing && !skip ? ` (skipped: ${proxy.name} is not installed)` : note;
  describe(`through ${proxy.name}, a request that waits${why}`, { skip: skip || isMissing }, () => {
    const folder = temporaryFolder();
    let server: Serving;
    let child: ChildProcess;
    let ports: Ports;
    let user: string;
    let reader: { user: string; client_id: string };
    const append = async (operation_index: number, url = server.url) => {
      const operation = { user, client_id: newClient(), operation_index, payload: "news" };
      assert.equal((await sync(url, operation)).status, 200);
    };

    before(async () => {
      server = await serveHere();
      ports = { http1: await freePort(), http2: await freePort(), server: server.port };
      const config = join(folder.path, "config");
      mkdirSync(join(folder.path, "data"));
      writeFileSync(config, proxy.config(ports, folder.path));
      child = spawn(proxy.name, proxy.args(config, folder.path), {
        stdio: "ignore",
        env: { ...process.env, XDG_DATA_HOME: join(folder.path, "data"), HOME: folder.path },
      });
      await until(async () => (await isOpen(ports.http1)) && (await isOpen(ports.http2)));
    });
    after(async () => {
      child.kill("SIGTERM");
      if (child.exitCode === null) await once(child, "exit");
      await server.close();
      folder.remove();
    });

    for (const version of ["1.1", "2"] as const) {
      const wait = (body: unknown, seconds: number, signal?: AbortSignal) =>
        version === "2"
          ? waitBy2(ports.http2, body, seconds, signal)
          : waitFor(`http://127.0.0.1:${ports.http1}`, body, {
              seconds,
              ...(signal && { signal }),
            });

      it(`on HTTP/${version} is answered by news, ends, and gives its place back when its client hangs up`, async () => {
        user = newUser().base64;
        reader = { user, client_id: newClient() };
        const [first, gone] = [wait(reader, LONG), await ended(server.url, "gone")];
        await untilWaiting(server.url, 1);
        await append(0, `http://127.0.0.1:${ports.http1}`);
        const { status, text, headers } = await first;
        assert.deepEqual([status, headers.get("preference-applied")], [200, `wait=${LONG}`]);
        assert.match(text, /"payload":"news"\}\n$/);

        const nothing = { user: newUser().base64, client_id: newClient() };
        const over = await wait(nothing, 1);
        assert.deepEqual([over.status, over.text], [200, ""]);
        assert.equal(over.headers.get("operation-count"), "0");

        const leave = new AbortController();
        const left = wait(nothing, LONG, leave.signal);
        await untilWaiting(server.url, 1);
        leave.abort();
        await assert.rejects(left);
        await untilWaiting(server.url, 0);
        assert.equal((await ended(server.url, "gone")) - gone, 1);
      });
    }
  });
}

/** A request that waits, on HTTP/2 without TLS. */
async function waitBy2(port: number, body: unknown, seconds: number, signal?: AbortSignal) {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  try {
    const stream = session.request(
      {
        ":method": "POST",
        ":path": "/sync",
        "content-type": "application/json",
        prefer: `wait=${seconds}`,
      },
      signal && { signal },
    );
    stream.end(JSON.stringify(body));
    const [head]: Record<string, string>[] = await once(stream, "response");
    const { ":status": status, ...fields } = head ?? {};
    let text = "";
    stream.setEncoding("utf8");
    for await (const part of stream) text += part;
    return { status: Number(status), headers: new Headers(Object.entries(fields)), text };
  } finally {
    session.destroy();
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("it has no port");
  return address.port;
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
