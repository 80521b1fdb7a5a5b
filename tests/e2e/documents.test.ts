/** Documents of Yjs in an app with React: tabs and devices in Chromium, at the real server. */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { bundled } from "../support/chromium.ts";
import { describeNotebook, type NotebookPages } from "../support/notebook-pages.ts";

const ADDRESS = "documents.html";
const SCRIPT = "documents.js";

/** The app on a device of the user, whose server can be out of reach. */
class Device {
  isOffline = false;
  readonly #context: BrowserContext;
  readonly #url: string;

  private constructor(context: BrowserContext, url: string) {
    this.#context = context;
    this.#url = url;
  }

  static async open(pages: NotebookPages, script: string): Promise<Device> {
    const context = await pages.device();
    const device = new Device(context, pages.url);
    const body = `<!doctype html><meta charset="utf-8"><body><script type="module" src="${SCRIPT}"></script>`;
    await context.route(`**/${ADDRESS}`, (route) =>
      route.fulfill({ contentType: "text/html; charset=utf-8", body }),
    );
    await context.route(`**/${SCRIPT}`, (route) =>
      route.fulfill({ contentType: "text/javascript; charset=utf-8", body: script }),
    );
    await context.route("**/sync", (route) =>
      device.isOffline ? route.abort() : route.continue(),
    );
    return device;
  }

  async tab(): Promise<Page> {
    const page = await this.#context.newPage();
    await page.goto(new URL(ADDRESS, this.#url).href);
    return page;
  }
}

const shows = (page: Page, text: string) =>
  page.waitForFunction(`document.querySelector("textarea")?.value === ${JSON.stringify(text)}`);
const isIn = (page: Page, state: string) =>
  page.waitForFunction(`document.querySelector("#status")?.textContent.includes("${state}")`);
const type = (page: Page, text: string) => page.locator("textarea").pressSequentially(text);
const received = async (page: Page) =>
  Number(await page.locator("textarea").getAttribute("data-received"));

describeNotebook("documents of Yjs in React", (pages) => {
  let script: Promise<string> | undefined;
  const device = async () => {
    script ??= bundled("documents-page.ts");
    return Device.open(pages(), await script);
  };

  it("come to other tabs and devices as they are typed, and not back", async () => {
    const laptop = await device();
    const [one, other] = [await laptop.tab(), await laptop.tab()];
    const phone = await (await device()).tab();
    for (const page of [one, other, phone]) await shows(page, "");
    await type(one, "Buy milk.");
    for (const page of [other, phone]) await shows(page, "Buy milk.");
    for (const page of [one, phone]) await isIn(page, "synced");
    assert.equal(await received(one), 0);
    assert.ok((await received(other)) > 0);
    await type(phone, " Feed the cat.");
    for (const page of [one, other]) await shows(page, "Buy milk. Feed the cat.");
  });

  it("can be edited and loaded again without the server, one after the other", async () => {
    const laptop = await device();
    laptop.isOffline = true;
    const page = await laptop.tab();
    await shows(page, "");
    await type(page, "offline");
    await page.click("#two");
    await shows(page, "");
    await type(page, "the second");
    await page.evaluate("flush()");
    await page.reload();
    await shows(page, "offline");
    await isIn(page, "offline");
    await page.click("#two");
    await shows(page, "the second");
    laptop.isOffline = false;
    const phone = await (await device()).tab();
    await page.reload();
    await shows(phone, "offline");
  });

  it("say why they cannot be opened, and open again for another key", async () => {
    const page = await (await device()).tab();
    await shows(page, "");
    await type(page, "still there");
    await page.evaluate("flush()");
    await page.click("#failing");
    await isIn(page, "no store");
    assert.equal(await page.locator("textarea").count(), 0);
    await page.click("#again");
    await shows(page, "still there");
    await page.evaluate("unmount()");
    assert.equal(await page.locator("main").count(), 0);
  });
});
