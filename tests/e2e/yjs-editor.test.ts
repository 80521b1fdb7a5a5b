/** The example of notes on Yjs, built, in Chromium: a laptop, a phone in the dark, and other people. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import type { BrowserContextOptions, Locator, Page } from "playwright-core";
import { shows, type } from "../support/editor-page.ts";
import { exampleApp } from "../support/example-app.ts";
import { temporaryFolder } from "../support/folder.ts";
import { describeNotebook, PASSPHRASE } from "../support/notebook-pages.ts";
import { freePort } from "../support/ports.ts";
import { startServer } from "../support/process.ts";
import { scan } from "../support/scan.ts";

const PHONE = { viewport: { width: 360, height: 640 }, colorScheme: "dark" } as const;
const SYNCED = "Everything is on the server.";
const OFFLINE = "Offline. Your words are kept on this device.";

describeNotebook("examples/yjs-editor", (pages) => {
  const app = exampleApp("yjs-editor");

  /** The app on a device of its own. */
  async function open(
    at = `${app.address()}?server=${pages().url}`,
    options?: BrowserContextOptions,
  ) {
    const context = await pages().device(options);
    const page = await pages().open(context, at);
    await page.getByLabel("Passphrase").fill(PASSPHRASE);
    await button(page, "Open").click();
    return page;
  }

  /** A new user, who has kept the key. */
  async function newUser(at?: string): Promise<{ readonly page: Page; readonly key: string }> {
    const page = await open(at);
    await button(page, "I have kept the key").waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await button(page, "I have kept the key").isDisabled(), true);
    const saved = page.waitForEvent("download");
    await button(page, "Save as a file").click();
    const key = readFileSync(await (await saved).path(), "utf8");
    await button(page, "I have kept the key").click();
    return { page, key };
  }

  /** Shares the note that is open. Returns the field with its link. */
  async function share(page: Page): Promise<Locator> {
    await button(page, "Share").click();
    await button(page, "Make a link").click();
    return page.getByRole("textbox", { name: "Link to the note" });
  }

  it("goes to a phone in the dark by a QR code, or to a device by the text of the key", async () => {
    const { page: laptop, key } = await newUser();
    await type(laptop, "Shopping\nmilk");
    await button(laptop, "New note").click();
    await laptop.getByText("Write something").waitFor();
    await type(laptop, "Diary\nrain");
    await laptop.getByText(SYNCED).waitFor();
    await button(laptop, "Devices").click();
    const code = laptop.getByRole("img", { name: "Link to another device" });
    const link = await scan(laptop, await code.screenshot());
    assert.ok(link.startsWith(app.address()));
    assert.match((await laptop.locator("#code").textContent()) ?? "", /^\w{4}-\w{4}$/);

    const phone = await open(link, PHONE);
    assert.doesNotMatch(await phone.evaluate("location.href"), /#/);
    await choose(phone, "Shopping");
    await shows(phone, "milk");
    const isWide = "document.documentElement.scrollWidth > innerWidth";
    assert.equal(await phone.evaluate(isWide), false);
    await button(phone, "Devices").click();
    assert.equal(await phone.evaluate(isWide), false);
    const paper = "getComputedStyle(document.documentElement).backgroundColor";
    assert.equal(await phone.evaluate(paper), "rgb(22, 24, 28)");

    const tablet = await pages().open(
      await pages().device(),
      `${app.address()}?server=${pages().url}`,
    );
    await tablet.getByText("I have a key already").click();
    await tablet.getByRole("textbox", { name: "Text of the key" }).fill(key);
    await tablet.getByLabel("Passphrase").fill(PASSPHRASE);
    await button(tablet, "Open").click();
    await choose(tablet, "Diary");
    await shows(tablet, "rain");
    assert.deepEqual(pages().errors, []);
  });

  it("deletes a note on all devices, unless one writes in it meanwhile", async () => {
    const { page: laptop } = await newUser();
    await type(laptop, "Shopping\nmilk");
    await button(laptop, "New note").click();
    await laptop.getByText("Write something").waitFor();
    await type(laptop, "Diary\nrain");
    await laptop.getByText(SYNCED).waitFor();
    await button(laptop, "Devices").click();
    const link = laptop.getByRole("textbox", { name: "Link to another device" });
    const phone = await open(await link.inputValue(), PHONE);
    await button(laptop, "Close").click();
    await choose(phone, "Diary");
    await shows(phone, "rain");
    laptop.on("dialog", (dialog) => void dialog.accept());
    await button(laptop, "Delete").click();
    await shows(laptop, "milk");
    await shows(phone, "milk");

    await phone.context().setOffline(true);
    await type(phone, "More ");
    await phone.getByText(OFFLINE).waitFor();
    await button(laptop, "Delete").click();
    await laptop.getByText("Write something").waitFor();
    await laptop.getByText(SYNCED).waitFor();
    await phone.context().setOffline(false);
    await choose(laptop, "More Shopping");
    await shows(laptop, "milk");
    assert.deepEqual(pages().errors, []);
  });

  it("starts and is written in while the server and the app's own files are out of reach", async () => {
    const folder = temporaryFolder();
    const settings = { STORAGE: folder.path, PORT: String(await freePort()) };
    let server = await startServer(settings);
    try {
      const { page } = await newUser(`${app.address()}?server=${server.url}`);
      await type(page, "Packing\n");
      await page.getByText(SYNCED).waitFor();
      await page.waitForFunction("document.documentElement.dataset.offline === 'ready'");
      await Promise.all([server.end("SIGTERM"), app.stop()]);
      await page.reload();
      await page.getByText(OFFLINE).waitFor();
      const other = await pages().open(page.context(), page.url());
      await shows(other, "Packing");
      // Windows show each other what is stored.
      await type(other, "tent ");
      await shows(page, "tent Packing");
      await type(page, "map ");
      await shows(other, "map tent Packing");
      await Promise.all([page.reload(), other.close()]);
      await shows(page, "map tent Packing");
      server = await startServer(settings);
      await page.getByText(SYNCED).waitFor();
    } finally {
      await Promise.all([server.end("SIGTERM"), app.start()]);
      folder.remove();
    }
    assert.deepEqual(pages().errors, []);
  });

  it("shares a note with another person, and goes on without that person", async () => {
    const { page: ann } = await newUser();
    await type(ann, "Party\nballoons");
    const field = await share(ann);
    const link = await field.inputValue();
    await button(ann, "Close").click();

    const { page: ben } = await newUser(link);
    await shows(ben, "balloons");
    await Promise.all([type(ben, "Music. "), type(ann, "Cake. ")]);
    for (const page of [ann, ben]) {
      await shows(page, "Music.");
      await shows(page, "Cake.");
    }
    await button(ann, "Devices").click();
    const device = ann.getByRole("textbox", { name: "Link to another device" });
    const phone = await open(await device.inputValue(), PHONE);
    await ann.keyboard.press("Escape");
    await shows(phone, "balloons");

    await button(ann, "Share").click();
    await ann.getByText("Stop sharing").click();
    await button(ann, "Move to a new link").click();
    await ann.locator("#moving", { hasText: /^$/ }).waitFor({ state: "attached" });
    const renewed = await field.inputValue();
    assert.notEqual(renewed, link);
    await button(ann, "Close").click();
    await ben.getByText("This note has ended: ask for a new link.").waitFor();
    await type(ann, "Without Ben. ");
    // The user's other devices have got the new key by themselves.
    await shows(phone, "Without Ben.");
    for (const words of ["Music.", "Cake.", "balloons"]) await shows(phone, words);
    await shows(ben, "Music.");
    assert.doesNotMatch((await ben.locator(".cm-content").textContent()) ?? "", /Without Ben/);

    await ben.goto(renewed);
    await shows(ben, "Without Ben.");
    ben.on("dialog", (dialog) => void dialog.accept());
    await button(ben, "Leave").click();
    await shows(ben, "balloons");
    await ben.getByText("This note has ended: ask for a new link.").waitFor();
    await button(ben, "Leave").click();
    await ben.getByText("Write something").waitFor();
    await shows(phone, "Without Ben.");
    assert.deepEqual(pages().errors, []);
  });

  it("loses nothing that is typed in another window while a note moves", async () => {
    const { page: ann } = await newUser();
    await type(ann, "Party ");
    const field = await share(ann);
    const link = await field.inputValue();
    const other = await pages().open(ann.context(), ann.url());
    await shows(other, "Party");
    await ann.getByText("Stop sharing").click();
    await button(ann, "Move to a new link").click();
    await other.locator(".cm-content").click();
    await other.keyboard.press("Control+End");
    const words: string[] = [];
    const isMoving = "document.querySelector('#moving').textContent !== ''";
    while (await ann.evaluate(isMoving)) {
      const word = `<${words.length}>`;
      words.push(word);
      await other.keyboard.type(word, { delay: 20 });
    }
    assert.notEqual(await field.inputValue(), link);
    await other.keyboard.type("<end>");
    for (const page of [ann, other]) await shows(page, `Party ${words.join("")}<end>`);
    assert.deepEqual(pages().errors, []);
  });

  it("opens in spite of a link that is cut, and says so", async () => {
    const { page } = await newUser(`${app.address()}?server=${pages().url}#note,AgAJ,passphrase`);
    await page.getByRole("alert").filter({ hasText: "The link: " }).waitFor();
    await type(page, "Diary\n");
    await page.getByText(SYNCED).waitFor();
    await page.getByRole("alert").filter({ hasText: "The link: " }).waitFor();
    // One that is opened where the app is already.
    await page.evaluate("location.hash = 'note,AgAK,passphrase'");
    await page.waitForFunction("location.hash === ''");
    await shows(page, "Diary");
    await page.getByRole("alert").filter({ hasText: "The link: " }).waitFor();
    assert.deepEqual(pages().errors, []);
  });

  it("ends a note under its old key also where that was interrupted", async () => {
    const { page: ann } = await newUser();
    await type(ann, "Party\nballoons");
    const { page: ben } = await newUser(await (await share(ann)).inputValue());
    await shows(ben, "balloons");
    const context = ann.context();
    await context.route("**/sync", (route) =>
      route.request().method() === "DELETE" ? route.abort() : route.fallback(),
    );
    await ann.getByText("Stop sharing").click();
    await button(ann, "Move to a new link").click();
    await ann.locator("#moving", { hasText: "the server cannot be reached" }).waitFor();
    await ben.getByText(SYNCED).waitFor();
    await context.unroute("**/sync");
    await ann.reload();
    await shows(ann, "balloons");
    await ben.getByText("This note has ended: ask for a new link.").waitFor();
    assert.deepEqual(pages().errors, []);
  });
});

function button(page: Page, name: string) {
  return page.getByRole("button", { name, exact: true });
}

/** Opens a note by its title, once it is there. */
async function choose(page: Page, title: string): Promise<void> {
  await page.locator(`#notes option:text-is("${title}")`).waitFor({ state: "attached" });
  await page.locator("#notes").selectOption(title);
}
