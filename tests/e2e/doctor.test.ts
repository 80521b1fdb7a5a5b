/** `sync-server doctor` through real proxies, each of them wrong in one way. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { examine, wrongIn } from "../support/doctor.ts";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere } from "../support/http.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { freePort } from "../support/ports.ts";
import { isInstalled, type RunningProxy, startCaddy, startNginx } from "../support/proxies.ts";

const { skip, note } = onlyOn("Node", "a proxy shows the same on each");

/** As docs/operations.md has it. */
const RIGHT: Readonly<Record<string, string>> = {
  proxy_http_version: "1.1",
  proxy_buffering: "off",
  client_max_body_size: "2m",
  "proxy_set_header Host": "$http_host",
  "proxy_set_header X-Forwarded-For": "$remote_addr",
  "proxy_set_header Connection": '""',
};

const NGINX: Record<string, { readonly change: Record<string, string>; readonly wrong: string[] }> =
  {
    "as it should be": { change: {}, wrong: [] },
    "with HTTP/1.0": { change: { proxy_http_version: "1.0" }, wrong: ["upstream"] },
    "with buffers, in which it compresses": {
      change: { proxy_buffering: "on", gzip: "on", gzip_types: "application/x-ndjson" },
      wrong: ["buffering"],
    },
    "with a limit of bodies": { change: { client_max_body_size: "1m" }, wrong: ["body"] },
    "with another Host": { change: { "proxy_set_header Host": "upstream" }, wrong: ["host"] },
    "without X-Forwarded-For": {
      change: { "proxy_set_header X-Forwarded-For": '""' },
      wrong: ["forwarded"],
    },
    "with a made-up X-Forwarded-For": {
      change: { "proxy_set_header X-Forwarded-For": "$http_x_forwarded_for" },
      wrong: ["spoofed"],
    },
    "that gives up early": { change: { proxy_read_timeout: "1500ms" }, wrong: ["time"] },
  };

const CADDY: Record<
  string,
  { readonly site: string; readonly proxy: string; readonly wrong: string[] }
> = {
  "as it should be": { site: "", proxy: "", wrong: [] },
  "with buffers": {
    site: "",
    proxy: "buffer_responses\nmax_buffer_size 1MiB",
    wrong: ["buffering"],
  },
  "with a limit of bodies": { site: "request_body {\nmax_size 1MB\n}", proxy: "", wrong: ["body"] },
  "with another Host": { site: "", proxy: "header_up Host upstream", wrong: ["host"] },
  "without X-Forwarded-For": {
    site: "",
    proxy: "header_up -X-Forwarded-For",
    wrong: ["forwarded"],
  },
  "with a made-up X-Forwarded-For": {
    site: "",
    proxy: "header_up X-Forwarded-For 192.0.2.77",
    wrong: ["spoofed"],
  },
  "that gives up early": {
    site: "",
    proxy: "transport http {\nresponse_header_timeout 1500ms\n}",
    wrong: ["time"],
  },
};

const SETTINGS = { MAX_WAIT: "2s", MAX_BODY: "2000000", TRUSTED_PROXIES: "127.0.0.1,::1" };

describe(`doctor, through nginx${note}`, { skip: skip || !isInstalled("nginx") }, () => {
  let server: Serving;
  let untrusting: Serving;
  before(async () => {
    server = await serveHere(SETTINGS);
    untrusting = await serveHere({ ...SETTINGS, TRUSTED_PROXIES: "none" });
  });
  after(() => Promise.all([server.close(), untrusting.close()]));

  const through = async (
    change: Readonly<Record<string, string>>,
    work: (url: string) => Promise<void>,
    to = server,
  ) => {
    const port = await freePort();
    const directives = Object.entries({ ...RIGHT, ...change })
      .map(([name, value]) => `${name} ${value};`)
      .join(" ");
    const proxy = await startNginx(
      `server { listen 127.0.0.1:${port}; location = /sync { ${directives} proxy_pass http://localhost:${to.port}; } }`,
      [port],
    );
    try {
      await work(`http://127.0.0.1:${port}`);
    } finally {
      await proxy.end();
    }
  };

  for (const [how, { change, wrong }] of Object.entries(NGINX)) {
    it(`${how}: ${wrong.join() || "nothing has to change"}`, async () => {
      await through(change, async (url) => {
        const { levels, words } = await examine(url);
        assert.deepEqual(wrongIn(levels), wrong, JSON.stringify(words));
      });
    });
  }

  it("that TRUSTED_PROXIES does not name: trusted", async () => {
    for (const forwardedFor of ["$remote_addr", "$http_x_forwarded_for"]) {
      const change = { "proxy_set_header X-Forwarded-For": forwardedFor };
      await through(
        change,
        async (url) => {
          const { levels } = await examine(url, { quick: "" });
          assert.deepEqual(wrongIn(levels), ["trusted"]);
        },
        untrusting,
      );
    }
  });
});

describe(`doctor, through Caddy${note}`, { skip: skip || !isInstalled("caddy") }, () => {
  let server: Serving;
  before(async () => {
    server = await serveHere(SETTINGS);
  });
  after(() => server.close());

  for (const [how, { site, proxy, wrong }] of Object.entries(CADDY)) {
    it(`${how}: ${wrong.join() || "nothing has to change"}`, async () => {
      const port = await freePort();
      const running: RunningProxy = await startCaddy(
        `{
admin off
auto_https off
}
http://127.0.0.1:${port} {
${site}
@open path /sync
handle @open {
reverse_proxy localhost:${server.port} {
${proxy}
}
}
}
`,
        [port],
      );
      try {
        const { levels, words } = await examine(`http://127.0.0.1:${port}`);
        assert.deepEqual(wrongIn(levels), wrong, JSON.stringify(words));
      } finally {
        await running.end();
      }
    });
  }
});

describe(`doctor, by TLS${note}`, { skip: skip || !isInstalled("nginx") }, () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  it("says that a certificate is not one that devices accept", async () => {
    const [key, certificate] = [join(folder.path, "key"), join(folder.path, "certificate")];
    execFileSync(
      "openssl",
      [
        ...[
          "req",
          "-x509",
          "-newkey",
          "rsa:2048",
          "-nodes",
          "-days",
          "7",
          "-subj",
          "/CN=localhost",
        ],
        ...["-keyout", key, "-out", certificate],
      ],
      { stdio: "ignore" },
    );
    const port = await freePort();
    const proxy = await startNginx(
      `server { listen 127.0.0.1:${port} ssl; ssl_certificate ${certificate}; ssl_certificate_key ${key}; }`,
      [port],
    );
    const { code, levels } = await examine(`https://127.0.0.1:${port}`);
    assert.deepEqual([code, wrongIn(levels)], [1, ["certificate"]]);
    await proxy.end();
  });
});
