/** What the web page of the notebook does for a person who may lose all devices, or has the wrong key. */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { Page } from "playwright-core";
import { importIdentity } from "../../client/identity.ts";
import { keyAlone } from "../../examples/notebook/key-text.ts";
import { describeNotebook, keyIn, PASSPHRASE } from "../support/notebook-pages.ts";
import { scan } from "../support/scan.ts";

describeNotebook("recovery of the notebook", (pages) => {
  /** Opens the page of a device, which notes what it prints and does not wait for a printer. */
  async function openToPrint(): Promise<Page> {
    // 288 dots an inch, which is less than what a printer has.
    const context = await pages().device({ deviceScaleFactor: 3 });
    await context.addInitScript("globalThis.print = () => { document.title = 'printed'; };");
    return pages().openIn(context);
  }

  async function askToPrint(page: Page, passphrase: string): Promise<void> {
    await page.locator("#recovery-details > summary").click();
    const field = page.locator("#recovery-passphrase");
    await field.fill(passphrase);
    await field.press("Enter");
  }

  it("prints a sheet whose text and whose codes are the key, without asking the server", async () => {
    const page = await openToPrint();
    await pages().write(page, "not on the sheet");
    await pages().state(page, "synced");
    const requests: string[] = [];
    page.on("request", (request) => {
      if (!request.url().endsWith("/sync")) requests.push(request.url());
    });
    await page.context().setOffline(true);
    await askToPrint(page, PASSPHRASE);
    await page.locator("#recovery-sheet > pre").waitFor({ state: "attached" });
    assert.equal(await page.title(), "printed");
    assert.equal(await page.locator("#recovery-sheet").isVisible(), false, "only on paper");
    await page.emulateMedia({ media: "print" });
    const sheet = page.locator("#recovery-sheet");
    assert.ok(await sheet.isVisible());
    assert.equal(await page.locator("main").isVisible(), false);

    const key = await sheet.locator("pre").innerText();
    assert.equal(`${key}\n`, keyAlone(keyIn(pages().key)));
    const { fingerprint } = await importIdentity(key, PASSPHRASE);
    const text = await sheet.innerText();
    assert.ok(text.includes(fingerprint) && text.includes(pages().url));
    const figures = await sheet.locator("figure svg").all();
    assert.ok(figures.length > 1);
    let codes = "";
    for (const figure of figures) codes += await scan(page, await figure.screenshot());
    assert.equal(codes, `${key}\n`);

    await page.evaluate("dispatchEvent(new Event('afterprint'))");
    assert.equal(await sheet.isVisible(), false);
    assert.ok(await page.locator("main").isVisible(), "later, the page itself is printed");
    assert.deepEqual(requests, []);
    assert.deepEqual(pages().errors, []);
  });

  it("shows a code that leads a phone to the page with the key, of which the server learns nothing", async () => {
    const context = await pages().device({ deviceScaleFactor: 2 });
    const laptop = await pages().open(context);
    await pages().create(laptop);
    await laptop.getByText("Scan it with a phone", { exact: true }).click();
    const link = await scan(laptop, await laptop.locator("#kept-code svg").screenshot());
    await pages().keepKey(laptop);
    await pages().write(laptop, "by the laptop");
    await pages().state(laptop, "synced");
    assert.ok(link.startsWith(`${new URL(pages().url).href}#key=`), link);

    const phone = await (await pages().device()).newPage();
    const requests: string[] = [];
    phone.on("request", (request) => requests.push(request.url() + (request.postData() ?? "")));
    phone.on("pageerror", (error) => pages().errors.push(error.message));
    await phone.goto(link);
    await phone.locator("#import-passphrase:focus").waitFor();
    assert.equal(phone.url(), new URL(pages().url).href);
    await phone.keyboard.type(PASSPHRASE);
    await phone.keyboard.press("Enter");
    await pages().shows(phone, ["by the laptop"]);
    const [, body = ""] = link.split("#key=");
    assert.ok(requests.every((request) => !request.includes(body.slice(50, 80))));
    const fingerprints = await Promise.all(
      [laptop, phone].map((page) => page.locator("#fingerprint").innerText()),
    );
    assert.equal(fingerprints[0], fingerprints[1]);

    // A browser that has a notebook keeps it.
    const other = await pages().openNew();
    const before = await other.locator("#fingerprint").innerText();
    await other.goto("about:blank");
    await other.goto(link);
    await other.locator("#note").waitFor();
    assert.equal(await other.locator("#fingerprint").innerText(), before);
    assert.equal(other.url(), new URL(pages().url).href);
    assert.deepEqual(pages().errors, []);
  });

  it("prints nothing where the passphrase does not open the key, and says so", async () => {
    const page = await openToPrint();
    await askToPrint(page, "another passphrase");
    await page.getByRole("alert").waitFor();
    assert.match(await page.getByRole("alert").innerText(), /^The passphrase is wrong, or the key/);
    await page.locator("#recovery-passphrase:focus").waitFor();
    assert.equal(await page.locator("#recovery-sheet > *").count(), 0);
    assert.notEqual(await page.title(), "printed");
    assert.deepEqual(pages().errors, []);
  });

  it("shows a notice if no device has ever stored anything with an imported key, until one does", async () => {
    const notice = (page: Page) => page.locator("#never-stored");
    const page = await pages().open(await pages().device());
    await pages().importKey(page, PASSPHRASE);
    await notice(page).waitFor();
    assert.match(await notice(page).innerText(), /^No device has ever stored anything/);
    await page.reload();
    await notice(page).waitFor();
    // A device that created its key shows no notice, also when it has written nothing.
    const other = await pages().openNew();
    await pages().state(other, "synced");
    assert.equal(await notice(other).isVisible(), false);
    await pages().write(other, "by the other device");
    await pages().shows(page, ["by the other device"]);
    await notice(page).waitFor({ state: "hidden" });
    const third = await pages().open(await pages().device());
    await pages().importKey(third, PASSPHRASE);
    await pages().shows(third, ["by the other device"]);
    await pages().state(third, "synced");
    assert.equal(await notice(third).isVisible(), false);
    assert.deepEqual(pages().errors, []);
  });
});
