/** Requests that wait for news, through real proxies with their default settings. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import { after, before, describe, it } from "node:test";
import { type Serving, serveHere, sync } from "../support/http.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { freePort } from "../support/ports.ts";
import { isInstalled, type RunningProxy, startCaddy, startNginx } from "../support/proxies.ts";
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
  readonly start: (ports: Ports) => Promise<RunningProxy>;
}

const nginx: Proxy = {
  name: "nginx",
  start: ({ http1, http2, server }) => {
    const site = (listen: string) =>
      `server { listen 127.0.0.1:${listen}; location / { proxy_pass http://localhost:${server}; } }`;
    return startNginx(`${site(`${http1}`)} ${site(`${http2} http2`)}`, [http1, http2]);
  },
};

const caddy: Proxy = {
  name: "caddy",
  start: ({ http1, http2, server }) =>
    startCaddy(
      `{
  admin off
  auto_https off
  servers { protocols h1 h2c }
}
http://127.0.0.1:${http1}, http://127.0.0.1:${http2} { reverse_proxy localhost:${server} }
`.replace(/\{ (?=protocols|reverse)(.*) \}/g, "{\n    $1\n  }"),
      [http1, http2],
    ),
};

const { skip, note } = onlyOn("Node", "a proxy shows the same on each");
for (const proxy of [nginx, caddy]) {
  const isMissing = !isInstalled(proxy.name);
  const why = isMissing && !skip ? ` (skipped: ${proxy.name} is not installed)` : note;
  describe(`through ${proxy.name}, a request that waits${why}`, { skip: skip || isMissing }, () => {
    let server: Serving;
    let running: RunningProxy;
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
      running = await proxy.start(ports);
    });
    after(async () => {
      await running.end();
      await server.close();
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
