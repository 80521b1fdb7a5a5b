/** The web page as the server sends it. What it does in a browser is in tests/e2e/notebook.test.ts. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import manifest from "../../package.json" with { type: "json" };
import { pageRoutes } from "../../server/http/static.ts";
import { type Serving, serveHere } from "../support/http.ts";
import { buildPage } from "../support/page.ts";
import { projectFolder } from "../support/process.ts";

const SCRIPT = "/page/notebook.js";

/** What the routes of the page answer, without a server. */
async function answer(routes: ReturnType<typeof pageRoutes>, request: Request) {
  const { pathname } = new URL(request.url);
  const reply = await routes[pathname]?.[request.method]?.(request);
  assert.ok(reply);
  return reply;
}

describe("the page", () => {
  let server: Serving | undefined;
  const get = (path: string, init?: RequestInit) => fetch(new URL(path, server?.url), init);
  before(async () => {
    await buildPage();
    server = await serveHere();
  });
  after(() => server?.close());

  it("is served with each file that it names, under its media type", async () => {
    const html = await (await get("/")).text();
    const named = [...html.matchAll(/\b(?:src|href)="([^"]+)"/g)].map(([, path = ""]) => path);
    assert.equal(named.length, 5);
    const address = (path: string) => new URL(path, server?.url);
    const manifest: { icons: { src: string }[] } = JSON.parse(
      await (await get("page/app.webmanifest")).text(),
    );
    const icons = manifest.icons.map(({ src }) => `page/${src}`);
    assert.ok(icons.length > 2);
    const types: Record<string, string> = {
      js: "text/javascript",
      css: "text/css",
      svg: "image/svg+xml",
      png: "image/png",
      webmanifest: "application/manifest+json",
    };
    for (const path of ["", ...named, ...icons]) {
      const response = await get(path);
      assert.equal(response.status, 200, path);
      const expected = types[address(path).pathname.split(".").at(-1) ?? ""] ?? "text/html";
      assert.equal(response.headers.get("content-type")?.split(";")[0], expected);
      assert.equal(response.headers.get("x-content-type-options"), "nosniff");
      assert.ok((await response.arrayBuffer()).byteLength > 100);
    }
  });

  it("names its script and its style by their content, and so does its service worker, which serves all of it", async () => {
    const html = await (await get("/")).text();
    const response = await get("/page/worker.js");
    assert.equal(response.headers.get("service-worker-allowed"), "../");
    assert.equal((await get(SCRIPT)).headers.get("service-worker-allowed"), null);
    const worker = await response.text();
    for (const name of ["notebook.js", "style.css", "icon.svg", ""]) {
      const [, path = "."] = new RegExp(`"(page/${name}\\?[0-9a-f]{16})"`).exec(html) ?? [];
      assert.equal(path === ".", name === "");
      const content = new Uint8Array(await (await get(path)).arrayBuffer());
      const digest = createHash("sha256").update(content).digest();
      if (path !== ".") assert.ok(path.endsWith(`?${digest.toString("hex", 0, 8)}`));
      assert.ok(worker.includes(`"${path}": "sha256-${digest.toString("base64")}"`), path);
    }
  });

  it("T-22 may load scripts and styles from its own server and connect to it, and nothing else", async () => {
    const { headers } = await get("/");
    const policy = new Map(
      (headers.get("content-security-policy") ?? "").split("; ").map((directive) => {
        const [name = "", ...sources] = directive.split(" ");
        return [name, sources.join(" ")];
      }),
    );
    assert.equal(policy.get("default-src"), "'none'");
    for (const name of [
      "script-src",
      "style-src",
      "img-src",
      "connect-src",
      "manifest-src",
      "worker-src",
    ]) {
      assert.equal(policy.get(name), "'self'");
    }
    for (const name of ["base-uri", "form-action", "frame-ancestors"]) {
      assert.equal(policy.get(name), "'none'");
    }
    assert.equal(policy.get("require-trusted-types-for"), "'script'");
    assert.equal(policy.get("trusted-types"), "worker");
    const html = await (await get("/")).text();
    assert.doesNotMatch(html, /<script(?![^>]* src=)|<style|\son\w+=|\sstyle=/);
    assert.doesNotMatch(html, /(?:src|href)="(?:https?:)?\/\//);
    assert.doesNotMatch(await (await get(SCRIPT)).text(), /innerHTML|outerHTML|insertAdjacentHTML/);
  });

  it("is not sent again while it is unchanged", async () => {
    const first = await get("/");
    const tag = first.headers.get("etag") ?? "";
    assert.match(tag, /^"[\w-]{43}"$/);
    assert.equal(first.headers.get("cache-control"), "no-cache");
    const again = await get("/", { headers: { "If-None-Match": `"other", W/${tag}` } });
    assert.equal(again.status, 304);
    assert.equal(again.headers.get("etag"), tag);
    assert.equal(await again.text(), "");
    const other = await get(SCRIPT, { headers: { "If-None-Match": tag } });
    assert.equal(other.status, 200, "each file has its own tag");
  });

  it("answers HEAD, and no other method", async () => {
    const head = await get("/", { method: "HEAD" });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), "");
    const post = await get("/", { method: "POST", body: "{}" });
    assert.equal(post.status, 405);
    assert.equal(post.headers.get("allow"), "GET, HEAD");
  });

  it("is absent with DEMO=off", async () => {
    const bare = await serveHere({ DEMO: "off" });
    try {
      for (const path of [
        "/",
        SCRIPT,
        "/page/worker.js",
        "/page/style.css",
        "/page/app.webmanifest",
        "/page/icon-192.png",
      ]) {
        const response = await fetch(new URL(path, bare.url));
        assert.equal(response.status, 404);
        const { type } = JSON.parse(await response.text());
        assert.equal(type, "urn:sync-server:not-found");
      }
      assert.equal((await fetch(new URL("/health", bare.url))).status, 200);
    } finally {
      await bare.close();
    }
  });

  it("is replaced by a text that says how to build it if it is not built", async () => {
    const routes = pageRoutes((name) =>
      readFile(join(projectFolder, "no such folder", name), "utf8"),
    );
    const ask = (path: string, method = "GET") =>
      answer(routes, new Request(`http://localhost${path}`, { method }));
    const { status, headers, body } = await ask("/");
    assert.equal(status, 503, "not taken for the page");
    assert.equal(headers["Content-Type"], "text/html; charset=utf-8");
    assert.equal(headers["Cache-Control"], "no-store");
    assert.match(String(body), /npm run page/);
    assert.ok("page" in manifest.scripts);
    assert.equal((await ask("/", "HEAD")).body, null);
    await assert.rejects(ask(SCRIPT), { code: "not-found" });
  });

  it("is served once it is built, without a restart", async () => {
    let isBuilt = false;
    const routes = pageRoutes(async (name) => {
      if (isBuilt) return name;
      throw Object.assign(new Error("no such file"), { code: "ENOENT" });
    });
    const ask = () => answer(routes, new Request("http://localhost/"));
    assert.equal((await ask()).status, 503);
    isBuilt = true;
    const { status, body } = await ask();
    assert.deepEqual({ status, body }, { status: 200, body: "index.html" });
  });
});
