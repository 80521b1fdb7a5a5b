/** The example of notes on Yjs, built, in Chromium: on a laptop, and on a phone in the dark. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, it } from "node:test";
import type { BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { shows, type } from "../support/editor-page.ts";
import { temporaryFolder } from "../support/folder.ts";
import { describeNotebook, PASSPHRASE } from "../support/notebook-pages.ts";
import { projectFolder } from "../support/process.ts";

const PHONE = { viewport: { width: 360, height: 640 }, colorScheme: "dark" } as const;

describeNotebook("examples/yjs-editor", (pages) => {
  const folder = temporaryFolder();
  before(async () => {
    // Loaded only where the tests run.
    const { build } = await import("vite");
    const client = join(projectFolder, "client");
    await build({
      root: join(projectFolder, "examples", "yjs-editor"),
      configFile: false,
      logLevel: "error",
      base: "./",
      build: { outDir: folder.path, emptyOutDir: true },
      // What the package is built of.
      resolve: {
        alias: [{ find: /^@sync-server\/client\/(.*)$/, replacement: join(client, "$1.ts") }],
      },
    });
  });
  after(() => folder.remove());

  /** The app on a device of its own. */
  async function open(
    options: BrowserContextOptions = {},
  ): Promise<{ readonly context: BrowserContext; readonly page: Page }> {
    const context = await pages().device(options);
    await context.route("**/editor/**", (route) => {
      const { pathname } = new URL(route.request().url());
      return route.fulfill({ path: join(folder.path, pathname.slice("/editor/".length)) });
    });
    const page = await context.newPage();
    page.on("pageerror", ({ message }) => pages().errors.push(message));
    await page.goto(`${pages().url}/editor/index.html?server=${pages().url}`);
    await page.getByLabel("Passphrase").fill(PASSPHRASE);
    return { context, page };
  }

  it("goes to a phone in the dark by the text of the key, and works there offline", async () => {
    const { page: laptop } = await open();
    await laptop.getByRole("button", { name: "Open" }).click();
    await laptop.getByRole("button", { name: "I have kept it" }).waitFor();
    const key = await laptop.locator("#key").inputValue();
    assert.match((await laptop.locator("#code").textContent()) ?? "", /^\w{4}-\w{4}$/);
    await laptop.getByRole("button", { name: "I have kept it" }).click();
    await type(laptop, "Shopping\nmilk");
    await laptop.getByRole("button", { name: "New note" }).click();
    await laptop.getByText("Write something").waitFor();
    await type(laptop, "Diary\nrain");
    await laptop.getByText("Everything is on the server.").waitFor();

    const { page: phone, context } = await open(PHONE);
    await phone.getByText("I have a key already").click();
    await phone.locator("[name=text]").fill(key);
    await phone.getByRole("button", { name: "Open" }).click();
    await choose(phone, "Shopping");
    await shows(phone, "milk");
    await choose(phone, "Diary");
    await shows(phone, "rain");
    const isWide = "document.documentElement.scrollWidth > innerWidth";
    assert.equal(await phone.evaluate(isWide), false);
    const paper = "getComputedStyle(document.documentElement).backgroundColor";
    assert.equal(await phone.evaluate(paper), "rgb(22, 24, 28)");

    await context.route("**/sync", (route) => route.abort());
    await type(phone, "On the train. ");
    await phone.getByText("Offline. Your words are kept on this device.").waitFor();
    await context.unroute("**/sync");
    await phone.reload();
    await shows(laptop, "On the train. Diary");
    assert.deepEqual(pages().errors, []);
  });
});

/** Opens a note by its title, once it is there. */
async function choose(page: Page, title: string): Promise<void> {
  await page.locator(`#notes option:text-is("${title}")`).waitFor({ state: "attached" });
  await page.locator("#notes").selectOption(title);
}
