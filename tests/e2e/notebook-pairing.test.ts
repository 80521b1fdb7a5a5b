/** The web page of the notebook: a device is added by a code, in two browsers. */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { Page } from "playwright-core";
import { describeNotebook, PASSPHRASE } from "../support/notebook-pages.ts";
import { otherThan } from "../support/pairing.ts";
import { scan } from "../support/scan.ts";

describeNotebook("adding a device to the notebook by a code", (pages) => {
  /** Shows a code on a device that has the key. */
  async function offered(): Promise<{ laptop: Page; link: string }> {
    const laptop = await pages().openIn(await pages().device({ deviceScaleFactor: 2 }));
    await pages().write(laptop, "by the laptop");
    await pages().state(laptop, "synced");
    await laptop.getByText("Add a device", { exact: true }).click();
    await laptop.locator("#pair-passphrase").fill(PASSPHRASE);
    await laptop.getByRole("button", { name: "Show a code" }).click();
    const code = laptop.locator("#pair-code svg");
    await code.waitFor();
    const link = await scan(laptop, await code.screenshot());
    assert.ok(link.startsWith(`${new URL(pages().url).href}#pair=`), link);
    assert.ok(await laptop.locator("#pair-digits").isDisabled());
    return { laptop, link };
  }

  /** Opens the link on a new device. */
  async function joining(link: string): Promise<{ phone: Page; digits: string }> {
    const phone = await pages().open(await pages().device(), link);
    await phone.locator("#join-ready").waitFor();
    const digits = await phone.locator("#join-code").innerText();
    assert.match(digits, /^\d{6}$/);
    assert.equal(phone.url(), new URL(pages().url).href);
    return { phone, digits };
  }

  const type = async (laptop: Page, digits: string) => {
    await laptop.locator("#pair-digits:focus").waitFor();
    await laptop.keyboard.type(digits);
    await laptop.keyboard.press("Enter");
  };

  it("opens it on a phone, with a passphrase of its own, once the digits are typed", async () => {
    const { laptop, link } = await offered();
    const { phone, digits } = await joining(link);
    await phone.locator("#join-passphrase:focus").waitFor();
    await phone.keyboard.type("another passphrase");
    await phone.keyboard.press("Enter");
    await type(laptop, digits);
    await pages().shows(phone, ["by the laptop"]);
    await laptop.getByText("The new device has the key.").waitFor();
    assert.equal(await laptop.locator("#pair-offer").isVisible(), false);
    const fingerprints = await Promise.all(
      [laptop, phone].map((page) => page.locator("#fingerprint").innerText()),
    );
    assert.equal(fingerprints[0], fingerprints[1]);
    await phone.reload();
    await pages().shows(phone, ["by the laptop"]);
    await pages().write(phone, "by the phone");
    await pages().shows(laptop, ["by the phone", "by the laptop"]);
    assert.equal(await laptop.evaluate("localStorage.getItem('notebook pairing')"), null);
    assert.deepEqual(pages().errors, []);
  });

  it("is joined by a code that is opened in a tab of the page", async () => {
    const { laptop, link } = await offered();
    const phone = await pages().open(await pages().device());
    await phone.locator("#create:visible").waitFor();
    await phone.evaluate(`location.assign(${JSON.stringify(link)})`);
    await phone.locator("#join-ready").waitFor();
    assert.equal(phone.url(), new URL(pages().url).href);
    await phone.getByRole("button", { name: "Stop" }).click();
    await laptop.getByRole("alert").waitFor();
    assert.deepEqual(pages().errors, []);
  });

  it("gives nothing for other digits: both devices say so, and can begin again", async () => {
    const { laptop, link } = await offered();
    const { phone, digits } = await joining(link);
    await type(laptop, otherThan(digits));
    await laptop.getByRole("alert").waitFor();
    const said = await laptop.getByRole("alert").innerText();
    assert.match(said, /^This is not the code that the new device shows, so the key was not sent/);
    await laptop.getByRole("button", { name: "Show a code" }).waitFor();
    await phone.getByRole("alert").waitFor();
    assert.match(await phone.getByRole("alert").innerText(), /^The pairing was ended elsewhere/);
    await phone.locator("#create:visible").waitFor();
    assert.deepEqual(pages().errors, []);
  });

  it("ends it where the page was closed, once that is opened again", async () => {
    const { laptop, link } = await offered();
    const { phone } = await joining(link);
    await laptop.reload();
    await phone.getByRole("alert").waitFor();
    assert.match(await phone.getByRole("alert").innerText(), /^The pairing was ended elsewhere/);
    await laptop.waitForFunction("localStorage.getItem('notebook pairing') === null");
    assert.deepEqual(pages().errors, []);
  });

  it("says that a passphrase does not open the key, and keeps the notebook of a browser that has one", async () => {
    const { laptop, link } = await offered();
    const before = await laptop.locator("#fingerprint").innerText();
    const other = await pages().openNew();
    await other.goto("about:blank");
    await other.goto(link);
    await other.locator("#note").waitFor();
    assert.equal(other.url(), new URL(pages().url).href);
    assert.equal(await other.locator("#fingerprint").innerText(), before);
    const said = await other.getByRole("alert").innerText();
    assert.match(said, /^This browser has a notebook already, and keeps it/);
    // The other tab left the pairing alone.
    assert.ok(await laptop.locator("#pair-offer").isVisible());
    assert.notEqual(await laptop.evaluate("localStorage.getItem('notebook pairing')"), null);
    await laptop.getByRole("button", { name: "Stop" }).click();
    await laptop.locator("#pair-passphrase").fill("another passphrase");
    await laptop.getByRole("button", { name: "Show a code" }).click();
    await laptop.getByText(/^The passphrase is wrong, or the key is damaged/).waitFor();
    assert.deepEqual(pages().errors, []);
  });
});
