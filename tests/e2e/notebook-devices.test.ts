/** What the web page of the notebook says of other devices, and what its key says to a new one. */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { altered } from "../support/altered-answer.ts";
import { describeNotebook, keyIn, PASSPHRASE } from "../support/notebook-pages.ts";

const KEY = "Key, protected by the passphrase";

describeNotebook("the devices of the notebook", (pages) => {
  /** The short client id of a page. */
  const idOf = async (page: Page) => (await page.locator("#client").textContent()) ?? "";

  /** Opens the section with the key; returns the key with what the page has. */
  async function keyOf(page: Page): Promise<string> {
    const isOpen = (await page.locator("#device-details").getAttribute("open")) !== null;
    if (!isOpen) await page.getByText("Add a device", { exact: true }).click();
    await page
      .getByRole("button", { name: "Copy the key" })
      .and(page.locator(":enabled"))
      .waitFor();
    return page.getByLabel(KEY).inputValue();
  }

  /** Has the server hide the operations of a device from a browser. */
  async function hide(context: BrowserContext, device: string): Promise<void> {
    await context.route("**/sync", async (route) => {
      const response = await route.fetch();
      const { body, headers, status } = await altered(
        new Response(await response.body(), {
          status: response.status(),
          headers: response.headers(),
        }),
        (lines) => lines.filter(({ client }) => !client.startsWith(device)),
      );
      const text = await new Response(body).text();
      await route.fulfill({ status, headers: Object.fromEntries(headers), body: text });
    });
  }

  it("T-20 tell a new one with the key what there is, and it says what the server hides", async () => {
    const phone = await pages().openNew();
    await pages().write(phone, "hidden");
    await pages().state(phone, "synced");
    const device = await idOf(phone);
    const key = await keyOf(phone);
    assert.equal(keyIn(key), pages().key);
    assert.notEqual(key, pages().key);

    const context = await pages().device();
    await hide(context, device);
    const page = await pages().open(context);
    await pages().importKey(page, PASSPHRASE, key);
    await pages().state(page, "synced");
    assert.equal(await page.getByRole("alert").isVisible(), false);
    await page.close();
    await context.addInitScript(() => {
      const now = Date.now;
      Date.now = () => now() + 121_000;
    });
    const later = await pages().open(context);
    await later.getByRole("alert").waitFor();
    assert.equal(
      await later.getByRole("alert").innerText(),
      `The server withholds note 0 of device ${device}: the device that gave the key has received it.`,
    );
    assert.match(await later.locator("#status").innerText(), /\(notes of 1 device refused\)$/);

    const honest = await pages().open(await pages().device());
    await pages().importKey(honest, PASSPHRASE, key);
    await pages().shows(honest, ["hidden"]);
    assert.deepEqual(pages().errors, []);
  });

  it("give with the key what they have at that time, also to the clipboard", async () => {
    const context = await pages().device();
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    const page = await pages().openIn(context);
    const first = await keyOf(page);
    await pages().write(page, "one more");
    await pages().state(page, "synced");
    while ((await page.getByLabel(KEY).inputValue()).length === first.length) {
      await page.waitForTimeout(100);
    }
    await page.getByRole("button", { name: "Copy the key" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    const copied = await page.evaluate<string>("navigator.clipboard.readText()");
    assert.ok(copied.length > first.length, "it has a head more");
  });

  it("T-20 refuse a key in which what it says was altered", async () => {
    const page = await pages().openNew();
    const key = await keyOf(page);
    const at = key.indexOf("BEGIN SYNC-SERVER HEADS") + 200;
    const other = key[at] === "A" ? "B" : "A";
    const next = await pages().open(await pages().device());
    await pages().importKey(next, PASSPHRASE, key.slice(0, at) + other + key.slice(at + 1));
    await next.getByRole("alert").waitFor();
    assert.match(await next.getByRole("alert").innerText(), /damaged: copy all of it again/);
  });

  it("are listed with when each was last heard of, and whether it has the notes of this one", async () => {
    const [phone, laptop] = [await pages().openNew(), await pages().openNew()];
    for (const page of [phone, laptop]) await pages().state(page, "synced");
    const compare = (page: Page) => page.getByText("Compare devices", { exact: true }).click();
    await compare(phone);
    await compare(laptop);
    const devices = (page: Page) => page.getByRole("list", { name: /^Other devices/ });
    assert.equal(await devices(phone).locator("li").count(), 0);
    await pages().write(phone, "by the phone");
    await pages().shows(laptop, ["by the phone"]);
    const [phoneId, laptopId] = [await idOf(phone), await idOf(laptop)];
    const named = (id: string, text: string) => new RegExp(`^Chrome on \\w+ \\(${id}\\): ${text}`);
    await devices(laptop).getByText(named(phoneId, "heard of just now\\.$")).waitFor();
    await pages().write(laptop, "by the laptop");
    const all = named(laptopId, "heard of just now, has all notes of this device\\.$");
    await devices(phone).getByText(all).waitFor();
    await devices(laptop).getByText("has not confirmed all notes of this device").waitFor();
    await phone.clock.install({ time: Date.now() + 3 * 3600_000 });
    await compare(phone);
    await compare(phone);
    await devices(phone).getByText(named(laptopId, "heard of 3 hours ago")).waitFor();
    assert.deepEqual(pages().errors, []);
  });
});
