/** deploy/nginx.conf in the real nginx, in front of a server, with TLS. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import https from "node:https";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { readConfig } from "../../server/config.ts";
import { read } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere, sync } from "../support/http.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { freePort } from "../support/ports.ts";
import { runToEnd } from "../support/process.ts";
import {
  isInstalled,
  newCertificate,
  type RunningProxy,
  startNginx,
  testNginx,
} from "../support/proxies.ts";
import { newClient, newUser } from "../support/users.ts";
import { LONG, untilWaiting } from "../support/waiting.ts";

const { skip, note } = onlyOn("Node", "a proxy shows the same on each");
const isMissing = !isInstalled("nginx");
const why = isMissing && !skip ? " (skipped: nginx is not installed)" : note;

const sample = read("deploy/nginx.conf");

describe(`deploy/nginx.conf${why}`, { skip: skip || isMissing }, () => {
  const folder = temporaryFolder();
  let server: Serving;
  let proxy: RunningProxy;
  let ports: { readonly http: number; readonly https: number };
  let configuration: string;
  let certificate: string;
  let url: string;
  const user = newUser().base64;
  const append = { user, client_id: newClient(), operation_index: 0, payload: "sealed" };

  before(async () => {
    ports = { http: await freePort(), https: await freePort() };
    url = `https://localhost:${ports.https}`;
    const settings = {
      MAX_WAIT: `${LONG}s`,
      MAX_BODY: "2000000",
      TRUSTED_PROXIES: "127.0.0.1,::1",
    };
    server = await serveHere({ ...settings, PUBLIC_URL: url });
    const made = newCertificate(folder.path);
    certificate = made.certificate;
    configuration = sample
      // Machines without IPv6 run the tests as well.
      .replaceAll(/^ *listen \[::\].*\n/gm, "")
      .replace("listen 80;", `listen 127.0.0.1:${ports.http};`)
      .replace("listen 443 ", `listen 127.0.0.1:${ports.https} `)
      .replace("127.0.0.1:8080", `localhost:${server.port}`)
      .replace(/ssl_certificate .*;/, `ssl_certificate ${certificate};`)
      .replace(/ssl_certificate_key .*;/, `ssl_certificate_key ${made.key};`);
    proxy = await startNginx(configuration, [ports.http, ports.https]);
  });
  after(async () => {
    await proxy.end();
    await server.close();
    folder.remove();
  });

  /** A request by HTTP/1.1 and TLS. */
  const ask = async (path: string, body?: string, headers: Record<string, string> = {}) => {
    const request = https.request(new URL(path, url), {
      ca: readFileSync(certificate),
      method: body === undefined ? "GET" : "POST",
      headers: { "Content-Type": "application/json", ...headers },
    });
    request.end(body);
    const [response] = await once(request, "response");
    return {
      status: Number(response.statusCode),
      headers: new Headers(response.headers),
      text: await text(response),
    };
  };

  it("is taken by nginx without a word", () => {
    const { code, output } = testNginx(configuration);
    assert.equal(code, 0, output);
    assert.doesNotMatch(output, /\[(warn|error|emerg|crit)\]/);
    // As it is taken, the test could show nothing else: this does.
    assert.equal(testNginx(configuration.replace("keepalive 16;", "keepalive;")).code, 1);
  });

  it("gives the doctor nothing to change", { timeout: 120_000 }, async () => {
    // Its own wait would last as long as that of a device.
    const quick = await runToEnd(["doctor", url, "--quick", "--json"], {
      NODE_EXTRA_CA_CERTS: certificate,
    });
    const lines = quick.stdout.trim().split("\n");
    const checks = lines.map((line): { level: string; topic: string } => JSON.parse(line));
    assert.deepEqual(
      checks.filter(({ level }) => level === "wrong"),
      [],
    );
    assert.equal(quick.code, 0, quick.stdout + quick.stderr);
    const topics = checks.map(({ topic }) => topic);
    for (const topic of [
      "certificate",
      "http2",
      "upstream",
      "host",
      "trusted",
      "buffering",
      "open",
    ]) {
      assert.ok(topics.includes(topic), `${topic} is not among ${topics}`);
    }
  });

  it("gives up on a request that waits later than MAX_WAIT ends by default", () => {
    const [, seconds] = /proxy_read_timeout (\d+)s;/.exec(sample) ?? [];
    assert.ok(Number(seconds) * 1000 > readConfig({}).MAX_WAIT + 10_000);
  });

  it("brings news to requests that wait, on HTTP/1.1 and HTTP/2", async () => {
    const reader = JSON.stringify({ user, client_id: newClient() });
    const by1 = ask("/sync", reader, { Prefer: `wait=${LONG}` });
    const session = http2.connect(url, { ca: readFileSync(certificate) });
    const stream = session.request({
      ":method": "POST",
      ":path": "/sync",
      "content-type": "application/json",
      prefer: `wait=${LONG}`,
    });
    stream.end(reader);
    const head = once(stream, "response");
    await untilWaiting(server.url, 2);
    assert.equal((await sync(server.url, append)).status, 200);
    const first = await by1;
    assert.deepEqual(
      [first.status, first.headers.get("preference-applied")],
      [200, `wait=${LONG}`],
    );
    assert.match(first.text, /"payload":"sealed"\}\n$/);
    assert.equal((await head)[0][":status"], 200);
    assert.match(await text(stream), /"payload":"sealed"\}\n$/);
    session.destroy();
  });

  it("leaves a body that is too large to the server, which explains it", async () => {
    const { status, text } = await ask("/sync", `"${"x".repeat(2_000_001)}"`);
    assert.deepEqual([status, JSON.parse(text).type], [413, "urn:sync-server:body-too-large"]);
  });

  it("forwards /sync and /health alone, and leads from HTTP to HTTPS", async () => {
    assert.equal((await ask("/health")).status, 200);
    for (const path of ["/", "/metrics", "/ready", "/status", "/openapi.json", "/sync/"]) {
      assert.equal((await ask(path)).status, 404, path);
    }
    const plain = await fetch(`http://127.0.0.1:${ports.http}/sync?a=b`, { redirect: "manual" });
    assert.equal(plain.status, 301);
    assert.equal(plain.headers.get("location"), "https://127.0.0.1/sync?a=b");
  });
});
