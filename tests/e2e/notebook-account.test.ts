/** What the web page of the notebook says of the user, and how it deletes the user on the server. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import type { Page } from "playwright-core";
import { importIdentity } from "../../client/identity.ts";
import { temporaryFolder } from "../support/folder.ts";
import { withServer } from "../support/http.ts";
import { listWithInvite } from "../support/invites.ts";
import { describeNotebook, PASSPHRASE } from "../support/notebook-pages.ts";

describeNotebook("the user of the notebook", (pages) => {
  /** Opens the dialog with the keyboard, and types a word into it. */
  async function typeWord(page: Page, word: string): Promise<void> {
    await page.getByText("Leave", { exact: true }).click();
    await page.getByRole("button", { name: "Delete everything on the server" }).press("Enter");
    await page.locator("#erase-word:focus").waitFor();
    await page.keyboard.type(word);
  }

  async function erased(page: Page): Promise<void> {
    await page.locator("#erased").waitFor();
    assert.equal(await page.locator("#status").textContent(), "Deleted from the server");
    assert.equal(await page.locator("#stored-count").textContent(), "Nothing any more.");
    assert.equal(await page.locator("#stored > li").count(), 0);
    assert.ok(await page.locator("#erase").isDisabled());
    assert.ok(await page.locator("#add").isDisabled());
  }

  it("is shown by the whole fingerprint to a person whom the server refuses, to be copied into its list", async () => {
    const folder = temporaryFolder();
    const path = join(folder.path, "users");
    writeFileSync(path, "");
    try {
      await withServer({ USERS: path }, async ({ url }) => {
        const context = await pages().device();
        await context.grantPermissions(["clipboard-read", "clipboard-write"]);
        const page = await pages().openIn(context, url);
        await pages().state(page, "refused");
        assert.match(await page.locator("#status").innerText(), /this key is not on it/);
        const { fingerprint } = await importIdentity(pages().key, PASSPHRASE);
        assert.equal(await page.locator("#fingerprint").innerText(), fingerprint);
        await page.getByRole("button", { name: "Copy the fingerprint" }).click();
        await page.getByRole("button", { name: "Copied" }).waitFor();
        writeFileSync(path, await page.evaluate<string>("navigator.clipboard.readText()"));
        await pages().state(page, "synced");
      });
    } finally {
      folder.remove();
    }
    assert.deepEqual(pages().errors, []);
  });

  it("accepts an invite after the server has refused the key, with the keyboard alone, in all tabs", async () => {
    const folder = temporaryFolder();
    const path = join(folder.path, "users");
    const code = listWithInvite(path);
    try {
      await withServer({ USERS: path }, async ({ url }) => {
        const context = await pages().device();
        const page = await pages().openIn(context, url);
        await pages().state(page, "refused");
        await pages().write(page, "kept until then");
        const tab = await pages().openIn(context, url);
        await pages().state(tab, "refused");
        const field = tab.getByLabel("Invite code");
        await field.fill("no-such-code");
        await field.press("Enter");
        await tab.getByRole("alert").waitFor();
        assert.match(
          await tab.getByRole("alert").innerText(),
          /^The server says: The invite is refused: there is none with this code/,
        );
        await tab.locator("#invite-code:focus").waitFor();
        await field.fill(` ${code} `);
        await tab.keyboard.press("Enter");
        for (const one of [tab, page]) {
          await pages().state(one, "synced");
          await one.locator("#invite").waitFor({ state: "hidden" });
          assert.equal(await one.getByRole("alert").isVisible(), false);
        }
        const other = await pages().openIn(await pages().device(), url);
        await pages().shows(other, ["kept until then"]);
        assert.equal(await other.locator("#invite").isVisible(), false);
      });
    } finally {
      folder.remove();
    }
    assert.deepEqual(pages().errors, []);
  });

  it("deletes everything on the server with the keyboard alone, and keeps key and notes", async () => {
    const phone = await pages().openNew();
    await pages().write(phone, "by the phone");
    await pages().state(phone, "synced");
    const laptop = await pages().openNew();
    await pages().write(laptop, "by the laptop");
    const both = ["by the laptop", "by the phone"];
    for (const page of [laptop, phone]) await pages().shows(page, both);
    await pages().state(laptop, "synced");
    const tab = await pages().open(laptop.context());
    await pages().shows(tab, both);

    const { fingerprint } = await importIdentity(pages().key, PASSPHRASE);
    const stored = () => pages().storage.list(`${fingerprint}.`);
    assert.ok((await stored()).length > 1, "the notes are on the server");
    await typeWord(laptop, "delete");
    await laptop.keyboard.press("Enter");
    await laptop.locator("#erased:focus").waitFor();
    assert.equal((await stored()).length, 1, "only the tombstone is left");
    for (const page of [laptop, tab, phone]) {
      await erased(page);
      await pages().shows(page, both);
    }

    await laptop.reload();
    await erased(laptop);
    await pages().shows(laptop, both);
    assert.equal(await laptop.locator("#key").inputValue(), pages().key);
    assert.deepEqual(pages().errors, []);
  });

  for (const way of ["the Escape key", "Cancel", "another word"]) {
    it(`deletes nothing after ${way}`, async () => {
      const page = await pages().openNew();
      await pages().write(page, "stays");
      await pages().state(page, "synced");
      const requests: string[] = [];
      page.on("request", (request) => requests.push(request.method()));
      await typeWord(page, way === "another word" ? "remove" : "delete");
      const dialog = page.getByRole("dialog", { name: "Delete everything on the server?" });
      if (way === "another word") {
        await page.keyboard.press("Enter");
        assert.equal(await page.locator("#erase-word:invalid").count(), 1);
        assert.ok(await dialog.isVisible());
        await page.keyboard.press("Escape");
      } else if (way === "Cancel") await page.getByRole("button", { name: way }).click();
      else await page.keyboard.press("Escape");
      await page.locator("#erase:focus").waitFor();
      assert.equal(await dialog.isVisible(), false);
      await pages().write(page, "and goes on");
      await pages().shows(await pages().openNew(), ["and goes on", "stays"]);
      assert.ok(!requests.includes("DELETE"));
    });
  }

  it("says why the server has not deleted everything, and lets the person try again", async () => {
    const page = await pages().openNew();
    await pages().write(page, "stays");
    await pages().state(page, "synced");
    const context = page.context();
    await context.route("**/sync", (route) =>
      route.request().method() === "DELETE" ? route.abort() : route.continue(),
    );
    await typeWord(page, "delete");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    assert.match(
      await page.getByRole("alert").innerText(),
      /^The server has not confirmed the deletion: try again\. \S/,
    );
    assert.equal(await page.locator("#erased").isVisible(), false);
    await context.unroute("**/sync");
    await page.locator("#erase:focus").waitFor();
    await page.keyboard.press("Enter");
    await page.locator("#erase-word:focus").waitFor();
    assert.equal(await page.locator("#erase-word").inputValue(), "");
    await page.keyboard.type("delete");
    await page.keyboard.press("Enter");
    await erased(page);
    assert.equal(await page.getByRole("alert").isVisible(), false);
  });
});
