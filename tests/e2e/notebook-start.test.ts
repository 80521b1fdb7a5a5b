/** The first steps in the web page of the notebook: nobody goes on without having saved the key. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import type { Page } from "playwright-core";
import { importIdentity } from "../../client/identity.ts";
import { temporaryFolder } from "../support/folder.ts";
import { describeNotebook, PASSPHRASE } from "../support/notebook-pages.ts";

describeNotebook("the first steps of the notebook", (pages) => {
  const step = (page: Page) => page.getByRole("heading", { name: "Save your key" });
  const goOn = (page: Page) => page.getByRole("button", { name: "I have saved the key" });

  async function isHeld(page: Page): Promise<void> {
    await step(page).waitFor();
    assert.ok(await goOn(page).isDisabled());
    assert.equal(await page.locator("#note").isVisible(), false);
  }

  /** The names of the buttons that are shown, the first action of the page first. */
  const buttons = (page: Page) => page.locator("button:visible").allInnerTexts();

  it("are one form at a time, for a new notebook at first", async () => {
    const page = await pages().open(await pages().device());
    await page.locator("#create-passphrase").waitFor();
    assert.deepEqual(await buttons(page), ["Create a notebook", "I have a key already"]);
    await page.getByRole("button", { name: "I have a key already" }).click();
    await page.locator("#import-key:focus").waitFor();
    assert.deepEqual(await buttons(page), ["Open the notebook", "I have no key yet"]);
    await page.getByRole("button", { name: "I have no key yet" }).click();
    await page.locator("#create-passphrase:focus").waitFor();
    assert.deepEqual(await buttons(page), ["Create a notebook", "I have a key already"]);
  });

  it("come back to the key after a reload and in another tab, until it is saved", async () => {
    const context = await pages().device();
    const page = await pages().open(context);
    await pages().create(page);
    await isHeld(page);
    const key = await page.locator("#kept-key").inputValue();
    await page.reload();
    await isHeld(page);
    assert.equal(await page.locator("#kept-key").inputValue(), key);
    const tab = await pages().open(context);
    await isHeld(tab);
    await page.getByRole("button", { name: "Download" }).click();
    await page.reload();
    await isHeld(page);
    await pages().keepKey(page);
    await tab.locator("#note").waitFor();
    await page.reload();
    await page.locator("#note").waitFor();
    assert.equal(await step(page).isVisible(), false);
    assert.deepEqual(pages().errors, []);
  });

  const ways: Record<string, (page: Page) => Promise<void>> = {
    copied: async (page) => {
      const key = await page.locator("#kept-key").inputValue();
      await page.getByRole("button", { name: "Copy", exact: true }).click();
      await page.getByRole("button", { name: "Copied" }).waitFor();
      assert.equal(await page.evaluate("navigator.clipboard.readText()"), key);
    },
    "copied by hand": async (page) => {
      await page.locator("#kept-key").press("Control+A");
      await page.keyboard.press("Control+C");
    },
    printed: async (page) => {
      const key = await page.locator("#kept-key").inputValue();
      await page.getByRole("button", { name: "Print a recovery sheet" }).click();
      assert.equal(await page.evaluate("printed"), key.trim());
    },
    "shown to a camera": async (page) => {
      await page.getByText("Scan it with a phone").click();
      await page.locator("#kept-code svg").waitFor();
    },
  };
  for (const [way, save] of Object.entries(ways)) {
    it(`lead to the notebook once the key was ${way}`, async () => {
      const context = await pages().device();
      await context.grantPermissions(["clipboard-read", "clipboard-write"]);
      await context.addInitScript(`globalThis.print = () => {
        globalThis.printed = document.querySelector("#recovery-sheet pre").textContent; };`);
      const page = await pages().open(context);
      await pages().create(page);
      await isHeld(page);
      await save(page);
      await goOn(page).and(page.locator(":enabled")).waitFor();
      await goOn(page).click();
      await page.locator("#note:focus").waitFor();
      assert.deepEqual(pages().errors, []);
    });
  }

  it("give a file with the key, which another device takes, as it takes a recovery sheet", async () => {
    const folder = temporaryFolder();
    try {
      const page = await pages().open(await pages().device());
      await pages().create(page);
      const downloading = page.waitForEvent("download");
      await pages().keepKey(page);
      const download = await downloading;
      const file = join(folder.path, download.suggestedFilename());
      await download.saveAs(file);
      const key = readFileSync(file, "utf8");
      const { fingerprint } = await importIdentity(key, PASSPHRASE);
      assert.equal(await page.locator("#fingerprint").textContent(), fingerprint);
      assert.match(file, new RegExp(`notebook-key-${fingerprint.slice(0, 8)}\\.txt$`));
      const sheet = join(folder.path, "sheet.html");
      writeFileSync(sheet, `<h1>Sheet</h1><pre>${key}</pre><p>Keep it.</p>`);
      for (const path of [file, sheet]) {
        const other = await pages().open(await pages().device());
        await pages().showForm(other, "import");
        await other.getByLabel("Or a file that has it").setInputFiles(path);
        await other.locator("#import-passphrase:focus").waitFor();
        await other.keyboard.type(PASSPHRASE);
        await other.keyboard.press("Enter");
        await other.locator("#note").waitFor();
        assert.equal(await other.locator("#fingerprint").textContent(), fingerprint);
      }
    } finally {
      folder.remove();
    }
    assert.deepEqual(pages().errors, []);
  });

  it("do not take a key for copied where the browser has refused to copy it", async () => {
    const context = await pages().device();
    await context.addInitScript(`Clipboard.prototype.writeText = () =>
      Promise.reject(new DOMException("Write permission denied", "NotAllowedError"));`);
    const page = await pages().open(context);
    await pages().create(page);
    await page.getByRole("button", { name: "Copy", exact: true }).click();
    await page.getByRole("alert").waitFor();
    assert.match(await page.getByRole("alert").innerText(), /permission denied/);
    await isHeld(page);
  });

  it("begin again without the key that was not saved", async () => {
    const page = await pages().open(await pages().device());
    await pages().create(page);
    const key = await page.locator("#kept-key").inputValue();
    page.once("dialog", (dialog) => dialog.dismiss());
    await page.getByRole("button", { name: "Start over" }).click();
    await isHeld(page);
    page.once("dialog", (dialog) => dialog.accept());
    await page.getByRole("button", { name: "Start over" }).click();
    await pages().create(page);
    assert.notEqual(await page.locator("#kept-key").inputValue(), key);
    assert.deepEqual(await page.evaluate("Object.keys(localStorage).sort()"), [
      "notebook key",
      "notebook unsaved",
    ]);
    assert.deepEqual(pages().errors, []);
  });
});
