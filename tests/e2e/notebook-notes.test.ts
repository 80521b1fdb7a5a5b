/** Notes of the web page that are edited, deleted, searched and folded, and what is typed and not saved. */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { Page } from "playwright-core";
import { describeNotebook } from "../support/notebook-pages.ts";
import { until } from "../support/socket.ts";

describeNotebook("the notes of the notebook", (pages) => {
  const note = (page: Page, text: string) => page.locator("#notes > li", { hasText: text });
  const editor = (page: Page) => page.getByRole("textbox", { name: "Edit note" });
  const save = (page: Page) => page.getByRole("button", { name: "Save" }).click();

  /** Opens the editor of a note, and types at its end. */
  async function type(page: Page, text: string, more: string): Promise<void> {
    await note(page, text).getByRole("button", { name: "Edit" }).click();
    await editor(page).press("Control+End");
    await page.keyboard.type(more);
  }

  /** Two devices that have a note. */
  async function two(text: string): Promise<[laptop: Page, phone: Page]> {
    const [laptop, phone] = [await pages().openNew(), await pages().openNew()];
    await pages().write(laptop, text);
    await pages().shows(phone, [text]);
    for (const page of [laptop, phone]) await pages().state(page, "synced");
    return [laptop, phone];
  }

  it("have the words of both devices that edit one offline", async () => {
    const [laptop, phone] = await two("Buy milk.");
    for (const page of [laptop, phone]) await page.context().setOffline(true);
    await type(laptop, "Buy milk.", " And bread.");
    await save(laptop);
    await pages().shows(laptop, ["Buy milk. And bread."]);
    await type(phone, "Buy milk.", "");
    await editor(phone).press("Control+Home");
    await phone.keyboard.type("Today: ");
    await editor(phone).press("Control+Enter");
    await pages().shows(phone, ["Today: Buy milk."]);
    assert.equal(await phone.locator("#notes > li[data-pending]").count(), 1);
    for (const page of [laptop, phone]) await page.context().setOffline(false);
    for (const page of [laptop, phone]) {
      await pages().shows(page, ["Today: Buy milk. And bread."]);
      await pages().state(page, "synced");
      await note(page, "Today").getByText(", edited ").waitFor();
    }
    assert.deepEqual(pages().errors, []);
  });

  it("say while one is edited that another device changes it, and have the words of both", async () => {
    const [laptop, phone] = await two("one two");
    await type(laptop, "one two", " three");
    await type(phone, "one two", "");
    await editor(phone).press("Control+Home");
    await phone.keyboard.type("zero ");
    await save(phone);
    await laptop.getByText("Another device has changed this note meanwhile.").waitFor();
    assert.equal(await editor(laptop).inputValue(), "one two three");
    await save(laptop);
    for (const page of [laptop, phone]) await pages().shows(page, ["zero one two three"]);
  });

  it("are deleted on all devices, come back by “Undo”, and stay where another device edits", async () => {
    const [laptop, phone] = await two("Buy milk.");
    await note(laptop, "Buy milk.").getByRole("button", { name: "Delete" }).click();
    await laptop.locator("#undo:focus").waitFor();
    for (const page of [laptop, phone]) await pages().shows(page, []);
    await laptop.keyboard.press("Enter");
    for (const page of [laptop, phone]) await pages().shows(page, ["Buy milk."]);
    assert.equal(await laptop.locator("#deleted").isVisible(), false);

    await type(phone, "Buy milk.", " And bread.");
    await note(laptop, "Buy milk.").getByRole("button", { name: "Delete" }).click();
    await phone.getByText("Another device has deleted this note meanwhile.").waitFor();
    await pages().shows(laptop, []);
    await save(phone);
    for (const page of [laptop, phone]) await pages().shows(page, ["Buy milk. And bread."]);
    assert.deepEqual(pages().errors, []);
  });

  it("are searched by words in any order", async () => {
    const page = await pages().openNew();
    for (const text of ["Buy milk and bread.", "Feed the cat.", "Milk the cow."]) {
      await pages().write(page, text);
    }
    const field = page.getByRole("searchbox", { name: "Search notes" });
    await field.fill("MILK");
    await pages().shows(page, ["Milk the cow.", "Buy milk and bread."]);
    await page.getByText("2 notes found").waitFor();
    await field.fill("bread milk");
    await pages().shows(page, ["Buy milk and bread."]);
    await field.fill("unicorn");
    await pages().shows(page, []);
    await page.getByText("No note has all of these words.").waitFor();
    await field.fill("");
    await pages().shows(page, ["Milk the cow.", "Feed the cat.", "Buy milk and bread."]);
  });

  it("are folded where they are long, and shown whole by the keyboard", async () => {
    const page = await pages().openNew();
    const lines = Array.from({ length: 60 }, (_, i) => `line ${i}`);
    await page.locator("#note").fill(lines.join("\n"));
    await page.getByRole("button", { name: "Add note" }).click();
    const text = page.locator("#notes > li > p");
    assert.equal(await text.textContent(), `${lines.slice(0, 12).join("\n")}…`);
    const button = page.getByRole("button", { name: "Show all" });
    assert.equal(await button.getAttribute("aria-expanded"), "false");
    await button.focus();
    await page.keyboard.press("Enter");
    assert.equal(await text.textContent(), lines.join("\n"));
    const less = page.locator('button[aria-expanded="true"]:focus');
    assert.equal(await less.textContent(), "Show less");
    await page.keyboard.press("Enter");
    assert.equal(await text.textContent(), `${lines.slice(0, 12).join("\n")}…`);
  });

  /** Everything that the pages of a browser have stored as text. */
  const stored = (page: Page) => page.evaluate<string>("JSON.stringify({ ...localStorage })");

  /** Waits until so many drafts are kept. */
  const drafts = (page: Page, count: number) =>
    until(async () => ((await stored(page)).match(/notebook draft/g) ?? []).length === count);

  it("keep what is typed for a reload and a crash, encrypted", async () => {
    const page = await pages().openNew();
    await pages().write(page, "a note");
    await type(page, "a note", " with more");
    await page.locator("#note").fill("a new secret");
    await drafts(page, 2);
    assert.doesNotMatch(await stored(page), /secret|with more/);
    await page.reload();
    await editor(page).waitFor();
    assert.equal(await editor(page).inputValue(), "a note with more");
    assert.equal(await page.locator("#note").inputValue(), "a new secret");

    const context = page.context();
    const session = await context.newCDPSession(page);
    // The tab is gone before it answers.
    void session.send("Page.crash").catch(() => undefined);
    await page.waitForEvent("crash");
    await page.close();
    const again = await pages().open(context);
    await editor(again).waitFor();
    assert.equal(await editor(again).inputValue(), "a note with more");
    assert.equal(await again.locator("#note").inputValue(), "a new secret");
    await save(again);
    await again.getByRole("button", { name: "Add note" }).click();
    await pages().shows(again, ["a new secret", "a note with more"]);
    await drafts(again, 0);
    assert.deepEqual(pages().errors, []);
  });

  it("show in each tab what is typed in another one, until it is saved", async () => {
    const first = await pages().openNew();
    await pages().write(first, "a note");
    const second = await pages().open(first.context());
    await pages().shows(second, ["a note"]);
    // To this browser, both tabs have the focus.
    await second.locator("#note").blur();
    await first.locator("#note").pressSequentially("typed in the first");
    const typed = (page: Page, selector: string, text: string) =>
      until(async () => (await page.locator(selector).inputValue()) === text);
    await typed(second, "#note", "typed in the first");
    await first.locator("#note").blur();
    await second.getByRole("button", { name: "Add note" }).click();
    await typed(first, "#note", "");
    await second.locator("#note").blur();
    await type(first, "a note", ", edited");
    await typed(second, "#notes textarea", "a note, edited");
    await editor(first).blur();
    await save(second);
    for (const page of [first, second]) {
      await pages().shows(page, ["typed in the first", "a note, edited"]);
      await editor(page).waitFor({ state: "detached" });
    }
    assert.deepEqual(pages().errors, []);
  });

  /** Has the browser store nothing in databases until it may again. */
  const fill = (page: Page, isFull: boolean) =>
    page.evaluate(`{
      const { prototype } = IDBObjectStore;
      window.put ??= prototype.put;
      prototype.put = ${isFull} ? () => {
        throw new DOMException("the disk is full", "QuotaExceededError"); } : window.put; }`);

  it("stay in the field where they cannot be stored, and are there once when they can", async () => {
    const page = await pages().openNew();
    await pages().write(page, "a note");
    await pages().state(page, "synced");
    await fill(page, true);
    await page.locator("#note").fill("another note");
    await page.getByRole("button", { name: "Add note" }).click();
    await page.getByText("the disk is full").waitFor();
    assert.equal(await page.locator("#note").inputValue(), "another note");
    await type(page, "a note", ", edited");
    await save(page);
    await page.getByText("the disk is full").waitFor();
    assert.equal(await editor(page).inputValue(), "a note, edited");
    await drafts(page, 2);
    await fill(page, false);
    await page.getByRole("button", { name: "Add note" }).click();
    await save(page);
    await pages().shows(page, ["another note", "a note, edited"]);
    await drafts(page, 0);
    await page.reload();
    await pages().shows(page, ["another note", "a note, edited"]);
  });

  it("say of one with a draft that it was deleted meanwhile, and can be kept", async () => {
    const [laptop, phone] = await two("Buy milk.");
    await type(laptop, "Buy milk.", " And bread.");
    await drafts(laptop, 1);
    const context = laptop.context();
    await laptop.close();
    await note(phone, "Buy milk.").getByRole("button", { name: "Delete" }).click();
    await pages().state(phone, "synced");
    const again = await pages().open(context);
    await again.getByText("Another device has deleted this note meanwhile.").waitFor();
    await save(again);
    for (const page of [again, phone]) await pages().shows(page, ["Buy milk. And bread."]);
  });

  it("leave nothing typed behind when the device is forgotten", async () => {
    const page = await pages().openNew();
    await page.locator("#note").fill("a secret");
    await drafts(page, 1);
    page.on("dialog", (dialog) => dialog.accept());
    await page.getByText("Leave").click();
    await page.getByRole("button", { name: "Forget this device" }).click();
    await page.locator("#create").waitFor();
    assert.doesNotMatch(await stored(page), /draft/);
  });

  it("say which device they are from, by a name that can be changed", async () => {
    const [laptop, phone] = await two("by the laptop");
    await note(phone, "by the laptop")
      .getByText(/from Chrome on \w+$/)
      .waitFor();
    await laptop.getByText("Compare devices", { exact: true }).click();
    await laptop.getByLabel("Name of this device").fill("my laptop");
    await laptop.keyboard.press("Enter");
    await note(phone, "by the laptop").getByText("from my laptop").waitFor();
    await phone.getByText("Compare devices", { exact: true }).click();
    const id = (await laptop.locator("#client").textContent()) ?? "";
    await phone.getByText(new RegExp(`^my laptop \\(${id}\\): heard of just now`)).waitFor();
  });

  it("stay whole through snapshots, which a new device begins with, and a reload", async () => {
    const laptop = await pages().openNew();
    const line = `${"x".repeat(99)}\n`;
    for (let i = 0; i < 6; i++) {
      // Typing takes a browser longer than storing.
      const text = JSON.stringify(`note ${i}\n${line.repeat(3000)}`);
      await laptop.evaluate(`document.querySelector("#note").value = ${text}`);
      await laptop.getByRole("button", { name: "Add note" }).click();
      await note(laptop, `note ${i}`).waitFor();
      await pages().state(laptop, "synced");
    }
    await until(async () => {
      const objects = await pages().storage.list("");
      return objects.some(({ name }) => name.includes(".snapshot."));
    }, "a snapshot is made");
    const phone = await pages().openNew();
    for (const page of [laptop, phone]) {
      for (let i = 0; i < 6; i++) await note(page, `note ${i}`).waitFor();
      await page.reload();
      for (let i = 0; i < 6; i++) await note(page, `note ${i}`).waitFor();
      await pages().state(page, "synced");
    }
    assert.deepEqual(pages().errors, []);
  });
});
