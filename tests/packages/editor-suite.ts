/** What docs/yjs.md tells a developer to do, done from the packed packages in an empty folder. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import example from "../../examples/yjs-editor/package.json" with { type: "json" };
import { chromium } from "../support/chromium.ts";
import { blocksOf, read } from "../support/documents.ts";
import { shows, type } from "../support/editor-page.ts";
import type { Prepared } from "./bindings-suite.ts";
import { device, inChromium, librariesIn, PASSPHRASE } from "./built-app.ts";
import { install } from "./install.ts";

async function open(context: BrowserContext, address: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(address);
  return page;
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
      const one = await open(laptop, address);
      await one.locator('[name="passphrase"]').fill(PASSPHRASE);
      await one.locator("button").click();
      await one.locator(".cm-content").waitFor();
      const textOfKey = (await one.locator("#text").textContent()) ?? "";
      await type(one, "Buy milk. ");
      const other = await open(laptop, address);
      await shows(other, "Buy milk.");
      const phone = await open(await device(browser), address);
      await phone.locator('[name="passphrase"]').fill("not the passphrase");
      await phone.locator('[name="text"]').fill(textOfKey);
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
