/** Devices and settings of the notebook: a sheet on a phone, a column elsewhere, and what fills itself on request. */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { Page } from "playwright-core";
import { describeNotebook, PASSPHRASE } from "../support/notebook-pages.ts";

const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
const WIDE = { width: 1280, height: 800 };

describeNotebook("the devices and settings of the notebook", (pages) => {
  const openPhone = async () => pages().openIn(await pages().device(PHONE));
  const sheet = (page: Page) => page.getByRole("dialog", { name: "Devices and settings" });
  const button = (page: Page) => page.getByRole("button", { name: "Devices and settings" });
  const closed = (page: Page) => sheet(page).waitFor({ state: "hidden" });

  it("are a sheet on a phone, at hand wherever the notes are scrolled to, which a touch opens and closes", async () => {
    const page = await openPhone();
    for (let i = 0; i < 12; i++) await pages().write(page, `note ${i}`);
    assert.equal(await page.locator("#side").isVisible(), false);
    const actions = page.locator("#notes > li").first().getByRole("button");
    const [edit, remove] = await Promise.all((await actions.all()).map((one) => one.boundingBox()));
    assert.ok(edit && remove);
    assert.equal(edit.y, remove.y, "what can be done with a note is in one line");
    await page.getByText("note 0").scrollIntoViewIfNeeded();
    assert.ok(Number(await page.evaluate("scrollY")) > 0);
    const box = await button(page).boundingBox();
    assert.ok(box !== null && box.y >= 0 && box.height >= 44);
    assert.ok(box.x + box.width <= PHONE.viewport.width - 16, "within the margins of the page");
    for (const close of ["Close", "the page above it"]) {
      await button(page).tap();
      await sheet(page).waitFor();
      for (const summary of await sheet(page).locator("summary").all()) {
        assert.ok(Number((await summary.boundingBox())?.height) >= 44);
      }
      await page.getByText("Add a device", { exact: true }).tap();
      await page.locator("#key").waitFor();
      await page.getByText("Add a device", { exact: true }).tap();
      if (close === "Close") await page.getByRole("button", { name: close }).tap();
      else await page.touchscreen.tap(195, 20);
      await closed(page);
    }
    assert.equal(await page.evaluate("document.documentElement.scrollWidth"), PHONE.viewport.width);
    assert.deepEqual(pages().errors, []);
  });

  it("are a sheet that the keyboard opens and closes, and that keeps the focus", async () => {
    const page = await openPhone();
    const { keyboard } = page;
    for (const close of ["Escape", "Enter"]) {
      await button(page).focus();
      await keyboard.press("Enter");
      await page.locator("#close-sheet:focus").waitFor();
      // Round the sheet, past the browser's own controls.
      for (let i = 0; i < 12; i++) {
        await keyboard.press("Tab");
        const outside = `document.activeElement !== document.body &&
          document.activeElement.closest("#sheet") === null`;
        assert.equal(await page.evaluate(outside), false);
      }
      await page.locator("#close-sheet").focus();
      await keyboard.press(close);
      await closed(page);
      await page.locator("#open-sheet:focus").waitFor();
    }
  });

  it("are a sheet that “Back” closes and “Forward” opens, and that a reload keeps", async () => {
    const page = await openPhone();
    await button(page).tap();
    await sheet(page).waitFor();
    await page.reload();
    await sheet(page).waitFor();
    await page.goBack();
    await closed(page);
    await page.locator("#note").waitFor();
    await page.goForward();
    await sheet(page).waitFor();
    await page.getByRole("button", { name: "Close" }).tap();
    await closed(page);
    await page.waitForFunction("history.state === null");
    await button(page).tap();
    await sheet(page).waitFor();
    assert.deepEqual(pages().errors, []);
  });

  it("are a column where there is room for one, also after the screen was turned", async () => {
    const page = await openPhone();
    await button(page).tap();
    await sheet(page).waitFor();
    await page.getByText("Recovery sheet", { exact: true }).tap();
    await page.locator("#recovery-passphrase").fill("typed");
    await page.setViewportSize(WIDE);
    await closed(page);
    assert.equal(await button(page).isVisible(), false);
    const side = page.getByRole("complementary", { name: "Devices and settings" });
    assert.ok(await side.isVisible());
    assert.equal(await page.locator("#recovery-passphrase").inputValue(), "typed");
    const [notes, column] = [await page.locator("#write").boundingBox(), await side.boundingBox()];
    assert.ok(notes !== null && column !== null && column.x > notes.x + notes.width);
    await page.setViewportSize(PHONE.viewport);
    await side.waitFor({ state: "hidden" });
    await button(page).tap();
    await sheet(page).waitFor();
  });

  it("say in the sheet what is wrong, and below it what has become of the notebook", async () => {
    const page = await openPhone();
    await button(page).tap();
    await page.getByText("Recovery sheet", { exact: true }).tap();
    await page.locator("#recovery-passphrase").fill(`not ${PASSPHRASE}`);
    await page.locator("#recovery-passphrase").press("Enter");
    await sheet(page).getByRole("alert").waitFor();
    const box = await page.getByRole("alert").boundingBox();
    assert.ok(box !== null && box.y >= 0 && box.y + box.height <= PHONE.viewport.height);
    await page.getByRole("button", { name: "Close" }).tap();
    await closed(page);
    for (let i = 0; i < 12; i++) await pages().write(page, `note ${i}`);
    await page.getByText("note 0").scrollIntoViewIfNeeded();
    await button(page).tap();
    await page.getByText("Leave", { exact: true }).tap();
    await page.getByRole("button", { name: "Delete everything on the server" }).tap();
    await page.locator("#erase-word:focus").waitFor();
    await page.keyboard.type("delete");
    await page.keyboard.press("Enter");
    await page.locator("#erased:focus").waitFor();
    assert.equal(await sheet(page).isVisible(), false);
    await page.waitForFunction("history.state === null");
    const said = await page.locator("#erased").boundingBox();
    const header = await page.locator("header").boundingBox();
    assert.ok(said !== null && header !== null && said.y >= header.y + header.height);
    assert.deepEqual(pages().errors, []);
  });

  it("show what the server stores only once they are asked for it, and as it grows from then on", async () => {
    const laptop = await pages().openNew();
    await pages().write(laptop, "by the laptop");
    const page = await pages().openNew();
    await pages().shows(page, ["by the laptop"]);
    await pages().write(page, "and here");
    await pages().state(page, "synced");
    assert.equal(await page.locator("#stored > li").count(), 0);
    assert.equal(await page.locator("#stored-count").textContent(), "Nothing yet.");
    await pages().showStored(page);
    await page.getByText("2 operations, ").waitFor();
    await pages().write(page, "one more here");
    await page.getByText("3 operations, ").waitFor();
    await pages().write(laptop, "and there");
    await page.getByText("4 operations, ").waitFor();
    assert.equal(await page.locator("#stored > li").count(), 4);
    const summary = page.getByText("What the server stores", { exact: true });
    await summary.click();
    await pages().write(laptop, "while it is closed");
    await pages().shows(page, [
      ...["while it is closed", "and there", "one more here", "and here", "by the laptop"],
    ]);
    assert.equal(await page.locator("#stored > li").count(), 4);
    await summary.click();
    await page.getByText("5 operations, ").waitFor();
    assert.deepEqual(pages().errors, []);
  });
});
