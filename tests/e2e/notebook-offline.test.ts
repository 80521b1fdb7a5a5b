/** The web page of the notebook without the network, after an update of the server, and installed. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { join, sep } from "node:path";
import { after, it } from "node:test";
import { promisify } from "node:util";
import type { Page } from "playwright-core";
import { temporaryFolder } from "../support/folder.ts";
import { describeNotebook } from "../support/notebook-pages.ts";
import { freePort } from "../support/ports.ts";
import { fromSource, type Program, projectFolder, startServer } from "../support/process.ts";
import { until } from "../support/socket.ts";

describeNotebook("the notebook without the network", (pages) => {
  /** Runs work with a server that can be replaced by another one at the same address. */
  async function withServer(
    work: (
      url: string,
      replace: (settings?: Record<string, string>, program?: Program) => Promise<void>,
      stop: () => Promise<void>,
    ) => Promise<void>,
  ): Promise<void> {
    const folder = temporaryFolder();
    const PORT = String(await freePort());
    const always = { STORAGE: folder.path, LISTING_TTL: "0", PORT };
    let server = await startServer(always);
    const { url } = server;
    const stop = async () => {
      await server.end("SIGTERM");
    };
    try {
      await work(
        url,
        async (settings = {}, program = fromSource) => {
          await stop();
          server = await startServer({ ...always, ...settings }, program);
        },
        stop,
      );
    } finally {
      await stop();
      folder.remove();
    }
  }

  /** Runs work while something else listens at an address. */
  async function withListener(url: string, answer: RequestListener, work: () => Promise<void>) {
    const listener = createServer(answer).listen(Number(new URL(url).port), "localhost");
    await once(listener, "listening");
    try {
      await work();
    } finally {
      listener.closeAllConnections();
      listener.close();
    }
  }

  const copy = temporaryFolder();
  after(copy.remove);
  let making: Promise<Program> | undefined;
  const updatedProgram = () => {
    making ??= makeUpdated(copy.path);
    return making;
  };

  /** Waits until the browser keeps the page. */
  async function kept(page: Page): Promise<void> {
    await page.getByText("This browser keeps the page").waitFor({ state: "attached" });
  }

  it("opens, shows its notes and takes others while the server is stopped, and syncs afterwards", async () => {
    await withServer(async (url, replace, stop) => {
      const page = await pages().openIn(await pages().device(), url);
      await pages().write(page, "before");
      await pages().state(page, "synced");
      await kept(page);
      await stop();
      await page.reload();
      await pages().shows(page, ["before"]);
      await pages().state(page, "offline");
      await pages().write(page, "in the tunnel");
      await page.close();
      const tab = await pages().open(page.context(), url);
      await pages().shows(tab, ["in the tunnel", "before"]);
      await replace();
      const other = await pages().openIn(await pages().device(), url);
      await tab.reload();
      await pages().state(tab, "synced");
      await pages().shows(other, ["in the tunnel", "before"]);
    });
    assert.deepEqual(pages().errors, []);
  });

  it("opens while a proxy has no server behind it, and while nothing answers", async () => {
    await withServer(async (url, _, stop) => {
      const page = await pages().openIn(await pages().device(), url);
      await kept(page);
      await stop();
      const badGateway: RequestListener = (_, response) => {
        response.writeHead(502).end("Bad Gateway");
      };
      const silent: RequestListener = () => undefined;
      for (const answer of [badGateway, silent]) {
        await withListener(url, answer, async () => {
          await page.goto("about:blank");
          await page.goto(url);
          await page.locator("#note").waitFor();
        });
      }
    });
  });

  it("is the page of an updated server from the first visit on, also without the network after it", async () => {
    const updated = await updatedProgram();
    await withServer(async (url, replace, stop) => {
      const page = await pages().openIn(await pages().device(), url);
      await kept(page);
      const open = await pages().open(page.context(), url);
      await open.locator("#note").waitFor();
      await replace({}, updated);
      await page.reload();
      await page.getByRole("heading", { name: "Updated notebook" }).waitFor();
      await page.locator("#note").waitFor();
      assert.equal(await styleOf(page), "updated");
      // The browser looks for a new worker after a visit.
      await until(async () => (await page.evaluate<string[]>(KEPT)).includes("updated"), "kept");
      const caches = () => page.evaluate<string[]>("caches.keys()");
      await until(async () => (await caches()).length === 1, "the earlier page is deleted");
      assert.equal(await page.locator("#updated").isVisible(), false);
      await open.getByRole("button", { name: "Reload" }).click();
      await open.getByRole("heading", { name: "Updated notebook" }).waitFor();
      await open.locator("#note").waitFor();
      assert.equal(await open.locator("#updated").isVisible(), false);
      await stop();
      await page.reload();
      await page.getByRole("heading", { name: "Updated notebook" }).waitFor();
      await page.locator("#note").waitFor();
      assert.equal(await styleOf(page), "updated");
    });
    assert.deepEqual(pages().errors, []);
  });

  it("is found to be updated in a window that stays open, once it is seen again", async () => {
    const updated = await updatedProgram();
    await withServer(async (url, replace) => {
      const page = await pages().openIn(await pages().device(), url);
      await kept(page);
      const look = () =>
        page.evaluate("void document.dispatchEvent(new Event('visibilitychange'))");
      await look();
      await replace({}, updated);
      await look();
      await page.getByText("This page was updated").waitFor();
      await page.getByRole("button", { name: "Reload" }).click();
      await page.getByRole("heading", { name: "Updated notebook" }).waitFor();
    });
  });

  it("is not kept where its files are of two versions, and says so", async () => {
    const forward: RequestListener = async ({ url = "" }, response) => {
      const answer = await fetch(new URL(url, pages().url));
      const { "content-length": _, ...headers } = Object.fromEntries(answer.headers);
      const text = await answer.text();
      // As a server that is updated in between answers.
      const isOther = url.startsWith("/page/style.css");
      response.writeHead(answer.status, headers).end(isOther ? `${text}\n` : text);
    };
    const url = `http://localhost:${await freePort()}/`;
    await withListener(url, forward, async () => {
      const page = await pages().open(await pages().device(), url);
      await page.getByText("has not kept the page").waitFor({ state: "attached" });
      assert.equal(await page.evaluate("caches.keys().then(({ length }) => length)"), 0);
    });
  });

  it("T-61 is gone from the browser once the server has no page any more, and the notes are not", async () => {
    await withServer(async (url, replace, stop) => {
      const page = await pages().openIn(await pages().device(), url);
      await pages().write(page, "stays");
      await pages().state(page, "synced");
      await kept(page);
      await replace({ DEMO: "off" });
      const answer = await page.reload();
      assert.equal(answer?.status(), 404);
      const left = `Promise.all([caches.keys(), navigator.serviceWorker.getRegistrations()]).then(
        (all) => all.flat().length)`;
      await until(async () => (await page.evaluate(left)) === 0, "nothing is left");
      await stop();
      await assert.rejects(page.reload(), /ERR_CONNECTION_REFUSED/);
      await replace();
      await page.goto(url);
      await pages().shows(page, ["stays"]);
    });
  });

  it("T-61 keeps in the browser nothing but the files of the page, and leaves other paths alone", async () => {
    const page = await pages().openIn(await pages().device());
    await pages().write(page, "not there");
    await pages().state(page, "synced");
    await kept(page);
    await page.reload();
    await pages().state(page, "synced");
    const names = await page.evaluate<string[]>(`caches.keys()
      .then(([name]) => caches.open(name)).then((cache) => cache.keys())
      .then((all) => all.map(({ url }) => new URL(url).pathname).sort())`);
    assert.deepEqual(names, ["/", "/page/icon.svg", "/page/notebook.js", "/page/style.css"]);
    for (const path of ["health", "no-such-path"]) {
      const answer = await page.goto(new URL(path, pages().url).href);
      assert.equal(answer?.fromServiceWorker(), false, path);
    }
    assert.deepEqual(pages().errors, []);
  });

  it("can be installed", async () => {
    const page = await pages().openIn(await pages().device());
    await kept(page);
    const session = await page.context().newCDPSession(page);
    const { errors, url, manifest } = await session.send("Page.getAppManifest");
    assert.deepEqual(errors, []);
    assert.equal(url, new URL("page/app.webmanifest", pages().url).href);
    const { startUrl, scope, display } = manifest;
    const root = new URL(pages().url).href;
    assert.deepEqual(
      { startUrl, scope, display },
      { startUrl: root, scope: root, display: "kStandalone" },
    );
    const { installabilityErrors } = await session.send("Page.getInstallabilityErrors");
    assert.deepEqual(installabilityErrors, []);
  });
});

const styleOf = (page: Page) =>
  page.evaluate<string>("getComputedStyle(document.body).getPropertyValue('--version')");

/** The words of the page that the browser keeps. */
const KEPT = `caches.match(location.href).then((page) => page.text()).then((text) =>
  text.toLowerCase().split(/\\W+/))`;

/** Copies the project, changes the page there, and builds it as an operator does. */
async function makeUpdated(folder: string): Promise<Program> {
  const parts = ["client", "cluster", "commands", "examples", "oplog", "protocol", "scripts"];
  for (const part of [
    ...parts,
    "server",
    "storage",
    "sync",
    "server.ts",
    "package.json",
    "LICENSE",
  ]) {
    cpSync(join(projectFolder, part), join(folder, part), {
      recursive: true,
      filter: (path) => !path.split(sep).includes("node_modules"),
    });
  }
  symlinkSync(join(projectFolder, "node_modules"), join(folder, "node_modules"));
  const change = (name: string, from: string | RegExp, to: string) => {
    const path = join(folder, "examples", "notebook", "web", name);
    const text = readFileSync(path, "utf8");
    assert.match(text, new RegExp(from));
    writeFileSync(path, text.replace(from, to));
  };
  change("index.html", "<h1>Notebook</h1>", "<h1>Updated notebook</h1>");
  change("base.css", "color-scheme: light dark;", "color-scheme: light dark; --version: updated;");
  const bun = join(projectFolder, "node_modules", ".bin", "bun");
  await promisify(execFile)(bun, ["scripts/page.ts"], { cwd: folder });
  return { command: [bun, "server.ts"], folder };
}
