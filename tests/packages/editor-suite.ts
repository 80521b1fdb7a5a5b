/** What docs/yjs.md tells a developer to do, done from the packed packages in an empty folder. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import type { Browser, BrowserContext, Page } from "playwright-core";
import example from "../../examples/yjs-editor/package.json" with { type: "json" };
import { chromium } from "../support/chromium.ts";
import { blocksOf, read } from "../support/documents.ts";
import { shows, type } from "../support/editor-page.ts";
import { until } from "../support/socket.ts";
import type { Prepared } from "./bindings-suite.ts";
import { device, inChromium, librariesIn, PASSPHRASE, PLAIN_HOST } from "./built-app.ts";
import { install } from "./install.ts";

/** What else a page may load: what it asks its own server for, and a file of an extension. */
const OTHERS =
  'fetch("/sync", { method: "POST" }); new Image().src = "http://127.0.0.1:9/icon.png";';

/** Holds up a page that starts to keep its files, until `goOn` is called. */
const HELD = `
  const { register } = ServiceWorkerContainer.prototype;
  const held = new Promise((resolve) => { globalThis.goOn = resolve; });
  ServiceWorkerContainer.prototype.register = async function (...of) {
    await held;
    return register.apply(this, of);
  };`;

/** Puts the same app in the place of a built one, under another name of its script. */
function deployAgain(app: string): void {
  const page = join(app, "dist", "index.html");
  const [, script = ""] = /assets\/([^"]{1,100}\.js)/.exec(readFileSync(page, "utf8")) ?? [];
  renameSync(join(app, "dist", "assets", script), join(app, "dist", "assets", "later.js"));
  writeFileSync(page, readFileSync(page, "utf8").replaceAll(script, "later.js"));
}

async function open(context: BrowserContext, address: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(address);
  return page;
}

async function enter(page: Page, passphrase = PASSPHRASE): Promise<void> {
  await page.locator('[name="passphrase"]').fill(passphrase);
  await page.locator("button").click();
}

/** Waits until the page says something about its state. */
async function says(page: Page, words: string): Promise<void> {
  await page.locator("#status, #problem", { hasText: words }).waitFor();
}

/** The app on a new device, built with another address of the server. */
async function openWith(browser: Browser, address: string, right: string, wrong: string) {
  const context = await device(browser);
  await context.route("**/assets/*.js", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: (await response.text()).replace(right, wrong) });
  });
  const page = await open(context, address);
  await enter(page);
  return page;
}

/** How light the text and the cursor are, from 0 to 255. */
function lightness(page: Page): Promise<number[]> {
  return page.evaluate<number[]>(`[[".cm-content", "color"], [".cm-cursor", "borderLeftColor"]].map(
    ([element, property]) => {
      const color = getComputedStyle(document.querySelector(element))[property];
      return Math.max(...color.match(/\\d+/g).map(Number));
    },
  )`);
}

export function testEditor(prepared: () => Prepared): void {
  it("make an encrypted editor of what docs/yjs.md prints, which works offline", {
    skip: chromium === undefined && "there is no Chromium",
  }, async () => {
    const { client, url, folder } = prepared();
    const text = read("docs/yjs.md");
    const [, commands = ""] = blocksOf(text, "sh");
    const app = await install(join(folder, "editor"), [client, ...librariesIn(commands, example)]);
    const [page = ""] = blocksOf(text, "html");
    const [key = "", script = "", worker = ""] = blocksOf(text, "js");
    writeFileSync(join(app, "index.html"), page);
    writeFileSync(join(app, "key.js"), key);
    assert.ok(script.includes('"http://localhost:8080"'));
    writeFileSync(join(app, "main.js"), script.replace("http://localhost:8080", url));
    mkdirSync(join(app, "public"));
    writeFileSync(join(app, "public", "worker.js"), worker);
    await inChromium(app, async (browser, address, stop) => {
      const laptop = await device(browser);
      await laptop.addInitScript(OTHERS);
      const one = await open(laptop, address);
      await enter(one);
      await one.locator(".cm-content").waitFor();
      const textOfKey = (await one.locator("#text").textContent()) ?? "";
      await type(one, "Buy milk. ");
      const other = await open(laptop, address);
      await shows(other, "Buy milk.");
      const phone = await open(await device(browser, { colorScheme: "dark" }), address);
      await phone.locator('[name="text"]').fill(textOfKey);
      await enter(phone, "not the passphrase");
      await says(phone, "the passphrase is wrong");
      await enter(phone);
      await shows(phone, "Buy milk.");
      for (const light of await lightness(phone)) assert.ok(light > 150, `${light} in the dark`);
      for (const light of await lightness(one)) assert.ok(light < 100, `${light} by day`);
      assert.doesNotMatch((await phone.locator("#status").textContent()) ?? "", /passphrase/);
      assert.equal(await phone.locator("#problem").textContent(), "");
      const kept = "caches.match('./').then((page) => page !== undefined)";
      await until(() => one.evaluate<boolean>(kept), "the app is kept");
      await one.evaluate(
        "caches.open('app').then((cache) => cache.put('assets/earlier.js', new Response()))",
      );
      await other.reload();
      const isGone = "caches.match('assets/earlier.js').then((file) => file === undefined)";
      await until(() => other.evaluate<boolean>(isGone), "the file of an earlier build is gone");
      const held = await laptop.newPage();
      await held.addInitScript(HELD);
      await held.goto(address);
      deployAgain(app);
      await held.evaluate("goOn()");
      const isWhole = `caches.match('./').then((page) => page.text()).then((text) =>
        text.includes('assets/later.js') && caches.match('assets/later.js').then(Boolean))`;
      await until(() => held.evaluate<boolean>(isWhole), "the page is kept with its own script");
      await laptop.route("**/sync", (route) => route.abort());
      await type(one, "Feed the cat. ");
      await shows(other, "Feed the cat.");
      await type(phone, "Water the plants. ");
      await says(await openWith(browser, address, url, "sync.example"), "use a url such as");
      const twice = await openWith(browser, address, url, `${url}sync`);
      await says(twice, "There is nothing at /sync/sync.");
      const { port } = new URL(address);
      const plain = await open(await device(browser), `http://${PLAIN_HOST}:${port}`);
      await enter(plain);
      await says(plain, "browsers encrypt only in a secure context");
      await stop();
      await one.reload();
      await shows(one, "Feed the cat.");
      const third = await open(laptop, `${address}notes/1?from=mail`);
      await shows(third, "Feed the cat.");
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
