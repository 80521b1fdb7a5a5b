/** What docs/yjs.md tells a developer to do, done from the packed packages in an empty folder. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { build, type PreviewServer, preview } from "vite";
import example from "../../examples/yjs-editor/package.json" with { type: "json" };
import { chromium } from "../support/chromium.ts";
import { blocksOf, read } from "../support/documents.ts";
import { shows, type } from "../support/editor-page.ts";
import type { Prepared } from "./bindings-suite.ts";
import { install } from "./install.ts";

const PASSPHRASE = "correct horse battery staple";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run"];
const TIMEOUT_MS = 60_000;

/** What the commands of the page install beside the client, in the versions that the example has. */
function librariesIn(commands: string): string[] {
  const [, names = ""] = /^npm install (.+)$/m.exec(commands) ?? [];
  const versions = new Map(Object.entries({ ...example.dependencies, ...example.devDependencies }));
  assert.ok(names.split(" ").includes("@sync-server/client"));
  return names
    .split(" ")
    .filter((name) => name !== "@sync-server/client")
    .map((name) => {
      assert.ok(versions.has(name), `the example has a version of ${name}`);
      return `${name}@${versions.get(name)}`;
    });
}

/** A device: a profile of the browser. */
async function device(browser: Browser): Promise<BrowserContext> {
  const context = await browser.newContext();
  context.setDefaultTimeout(TIMEOUT_MS);
  return context;
}

async function open(context: BrowserContext, address: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(address);
  return page;
}

/**
 * Builds an app, and serves it to Chromium.
 *
 * @param test is given what stops serving it, too
 */
async function inChromium(
  root: string,
  test: (browser: Browser, address: string, stop: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const { chromium: driver } = await import("playwright-core");
  let pages: PreviewServer | undefined;
  let browser: Browser | undefined;
  try {
    await build({ root, configFile: false, logLevel: "error" });
    pages = await preview({ root, configFile: false, preview: { port: 0 } });
    browser = await driver.launch({ executablePath: chromium ?? "", args: FLAGS });
    const stop = async () => {
      await pages?.close();
      pages = undefined;
    };
    await test(browser, pages.resolvedUrls?.local[0] ?? "", stop);
  } finally {
    await browser?.close();
    await pages?.close();
  }
}

export function testEditor(prepared: () => Prepared): void {
  it("make an encrypted editor of what docs/yjs.md prints, which works offline", {
    skip: chromium === undefined && "there is no Chromium",
  }, async () => {
    const { client, url, folder } = prepared();
    const text = read("docs/yjs.md");
    const [, commands = ""] = blocksOf(text, "sh");
    const app = await install(join(folder, "editor"), [client, ...librariesIn(commands)]);
    const [page = ""] = blocksOf(text, "html");
    const [script = "", worker = ""] = blocksOf(text, "js");
    writeFileSync(join(app, "index.html"), page);
    assert.ok(script.includes('"http://localhost:8080"'));
    writeFileSync(join(app, "main.js"), script.replace("http://localhost:8080", url));
    mkdirSync(join(app, "public"));
    writeFileSync(join(app, "public", "worker.js"), worker);
    await inChromium(app, async (browser, address, stop) => {
      const laptop = await device(browser);
      const one = await open(laptop, address);
      await one.locator('[name="passphrase"]').fill(PASSPHRASE);
      await one.locator("button").click();
      await one.locator(".cm-content").waitFor();
      const key = (await one.locator("#text").textContent()) ?? "";
      await type(one, "Buy milk. ");
      const other = await open(laptop, address);
      await shows(other, "Buy milk.");
      const phone = await open(await device(browser), address);
      await phone.locator('[name="passphrase"]').fill("not the passphrase");
      await phone.locator('[name="text"]').fill(key);
      await phone.locator("button").click();
      await phone.waitForFunction('document.querySelector("#status").textContent !== ""');
      await phone.locator('[name="passphrase"]').fill(PASSPHRASE);
      await phone.locator("button").click();
      await shows(phone, "Buy milk.");
      await one.waitForFunction("caches.match('./').then((page) => page !== undefined)");
      await laptop.route("**/sync", (route) => route.abort());
      await type(one, "Feed the cat. ");
      await shows(other, "Feed the cat.");
      await type(phone, "Water the plants. ");
      await stop();
      await one.reload();
      await shows(one, "Feed the cat.");
      await laptop.unroute("**/sync");
      await other.reload();
      for (const page of [one, phone, other]) {
        for (const words of ["Buy milk.", "Feed the cat.", "Water the plants."]) {
          await shows(page, words);
        }
      }
    });
  });
}
