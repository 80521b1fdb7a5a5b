/** The example of lists on TinyBase and React, built, in Chromium: two people, a laptop and a phone. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import type { BrowserContextOptions, Page } from "playwright-core";
import { exampleApp } from "../support/example-app.ts";
import { describeNotebook, PASSPHRASE } from "../support/notebook-pages.ts";
import { scan } from "../support/scan.ts";

const PHONE = { viewport: { width: 360, height: 640 }, colorScheme: "dark" } as const;

describeNotebook("examples/todo", (pages) => {
  const app = exampleApp("todo");
  const address = () => `${app.address()}?server=${pages().url}`;

  /** The app on a device of its own. */
  async function open(at = address(), options: BrowserContextOptions = {}) {
    const context = await pages().device(options);
    return { context, page: await pages().open(context, at) };
  }

  async function enter(page: Page, button: string): Promise<void> {
    await page.getByLabel("Passphrase").fill(PASSPHRASE);
    await page.getByRole("button", { name: button, exact: true }).click();
  }

  /** Begins as a new user, who keeps the key before anything else. */
  async function start(page: Page): Promise<void> {
    await enter(page, "Start");
    const kept = page.getByRole("button", { name: "I have kept the key" });
    await kept.waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await kept.isDisabled(), true);
    const saved = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save as a file" }).click();
    assert.match(readFileSync(await (await saved).path(), "utf8"), /^-----BEGIN SYNC-SERVER KEY/);
    await kept.click();
  }

  async function add(page: Page, text: string): Promise<void> {
    await page.getByLabel("What is to be done?").fill(text);
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByRole("checkbox", { name: text }).waitFor();
  }

  it("says whether the browser has copied the key, and takes no other copy for one", async () => {
    const { page, context } = await open();
    await enter(page, "Start");
    const kept = page.getByRole("button", { name: "I have kept the key" });
    await page.evaluate(
      `navigator.clipboard.writeText = () => Promise.reject(new Error("denied"))`,
    );
    await page.getByRole("button", { name: "Copy the text" }).click();
    await page.getByRole("button", { name: "Not copied: denied" }).waitFor();
    assert.equal(await kept.isDisabled(), true);
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.evaluate("delete navigator.clipboard.writeText");
    await page.getByRole("button", { name: "Not copied: denied" }).click();
    await page.getByRole("button", { name: "Copied", exact: true }).waitFor();
    const key = await page.getByRole("textbox", { name: "Text of the key" }).inputValue();
    assert.equal(await page.evaluate("navigator.clipboard.readText()"), key);
    await kept.click();
    await page.getByLabel("What is to be done?").waitFor();
  });

  it("goes to a phone by a link, and starts there without the network", async (test) => {
    const { page: laptop } = await open();
    await start(laptop);
    await laptop.getByRole("button", { name: "Devices" }).click();
    const code = laptop.getByRole("img", { name: "Link to another device" });
    const link = await scan(laptop, await code.screenshot());
    await laptop.getByRole("button", { name: "Close" }).click();
    await add(laptop, "Buy milk");
    await laptop.getByText("Everything is on the server.").waitFor();

    const { page: phone, context } = await open(link, PHONE);
    assert.doesNotMatch(await phone.evaluate("location.href"), /#/);
    await enter(phone, "Add this device");
    await phone.getByRole("checkbox", { name: "Buy milk" }).check();
    await laptop.getByRole("checkbox", { name: "Buy milk", checked: true }).waitFor();
    const isWide = "document.documentElement.scrollWidth > innerWidth";
    assert.equal(await phone.evaluate(isWide), false);
    await phone.waitForFunction("document.documentElement.dataset.offline === 'ready'");

    await context.setOffline(true);
    await app.stop();
    test.after(app.start);
    await phone.reload();
    await add(phone, "Feed the cat");
    await phone.getByText("Offline. Your list is kept on this device.").waitFor();
    await context.setOffline(false);
    await laptop.getByRole("checkbox", { name: "Feed the cat" }).waitFor();
    assert.deepEqual(pages().errors, []);
  });

  it("shares a list with another person, and goes on without that person", async () => {
    const { page: ann } = await open();
    await start(ann);
    ann.on("dialog", (dialog) => void dialog.accept("Party"));
    await ann.getByLabel("List").selectOption("New shared list …");
    await ann.getByRole("button", { name: "Share" }).click();
    const link = await ann.getByRole("textbox", { name: "Link to the list" }).inputValue();
    await ann.getByRole("button", { name: "Close" }).click();
    await add(ann, "Balloons");

    const { page: ben } = await open(link);
    await start(ben);
    await ben.getByRole("checkbox", { name: "Balloons" }).check();
    await add(ben, "Music");
    await ann.getByRole("checkbox", { name: "Balloons", checked: true }).waitFor();
    await ann.getByRole("checkbox", { name: "Music" }).waitFor();

    await ann.getByRole("button", { name: "Share" }).click();
    await ann.getByText("Stop sharing").click();
    await ann.getByRole("button", { name: "Move to a new link" }).click();
    await ann.getByRole("dialog").waitFor({ state: "hidden" });
    await ann.getByRole("checkbox", { name: "Music" }).waitFor();
    await add(ann, "Cake");
    await ben.getByText("This list has ended: ask for a new link.").waitFor();
    assert.equal(await ben.getByRole("checkbox", { name: "Cake" }).count(), 0);
    assert.deepEqual(pages().errors, []);
  });
});
