/** The web page of the notebook in headless Chromium, on the real server. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { type Browser, type BrowserContext, chromium as driver, type Page } from "playwright-core";
import { MemoryDriver } from "../../storage/memory.ts";
import { chromium } from "../support/chromium.ts";
import { type Serving, serveHere } from "../support/http.ts";
import { buildPage } from "../support/page.ts";

const PASSPHRASE = "correct horse battery staple";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
/** Key generation and PBKDF2 take long on a busy machine. */
const PATIENCE_MS = 60_000;

/** One runtime is enough to drive the browser, and playwright-core is made for Node. */
const elsewhere = process.versions.bun !== undefined || process.versions.deno !== undefined;
const why = elsewhere
  ? "it runs on Node only, as the page does not depend on the runtime of the test"
  : "there is no Chromium: install Debian's chromium, or set TEST_CHROMIUM";

describe("the notebook in Chromium", () => {
  if (chromium === undefined || elsewhere) {
    it(`is not tested: ${why}`, { skip: true });
    return;
  }
  const executablePath = chromium;
  const storage = new MemoryDriver();
  let server: Serving;
  let browser: Browser;
  /** The key of the test's notebook, as text; empty until the first device creates it. */
  let key = "";
  /** Uncaught errors of pages, and what the Content Security Policy blocked. */
  const pageErrors: string[] = [];

  before(async () => {
    await buildPage();
    server = await serveHere({ LISTING_TTL: "0" }, storage);
    browser = await driver.launch({ executablePath, args: FLAGS });
  });
  after(async () => {
    await browser.close();
    await server.close();
  });
  beforeEach(() => {
    key = "";
    pageErrors.length = 0;
  });

  /** A new browser profile, which is another device. */
  async function device(): Promise<BrowserContext> {
    const context = await browser.newContext();
    context.setDefaultTimeout(PATIENCE_MS);
    return context;
  }

  async function open(context: BrowserContext): Promise<Page> {
    const page = await context.newPage();
    page.on("pageerror", (error) => pageErrors.push(error.message));
    page.on("console", (message) => {
      if (/Content Security|Refused to/.test(message.text())) pageErrors.push(message.text());
    });
    await page.goto(server.url);
    return page;
  }

  /** Opens the page on a new device: the first one creates the key, others import it. */
  async function openNew(): Promise<Page> {
    const page = await open(await device());
    if (key === "") {
      const form = page.locator("#create");
      await form.getByLabel("Passphrase").fill(PASSPHRASE);
      await form.getByRole("button").click();
      await page.locator("#note").waitFor();
      key = await page.getByLabel("Key, protected by the passphrase").inputValue();
    } else {
      await importKey(page, PASSPHRASE);
      await page.locator("#note").waitFor();
    }
    return page;
  }

  async function importKey(page: Page, passphrase: string): Promise<void> {
    const form = page.locator("#import");
    await form.getByLabel("Key").fill(key);
    await form.getByLabel("Passphrase").fill(passphrase);
    await form.getByRole("button").click();
  }

  async function write(page: Page, text: string): Promise<void> {
    await page.locator("#note").fill(text);
    await page.getByRole("button", { name: "Add note" }).click();
  }

  /** Waits until the page shows exactly these notes, newest first. */
  async function shows(page: Page, notes: readonly string[]): Promise<void> {
    const items = page.locator("#notes > li > p");
    const deadline = Date.now() + PATIENCE_MS;
    let shown: string[] = [];
    const same = () => JSON.stringify(shown) === JSON.stringify(notes);
    while (!same() && Date.now() < deadline) {
      await page.waitForTimeout(20);
      shown = await items.allTextContents();
    }
    assert.deepEqual(shown, notes);
  }

  const state = (page: Page, name: string) =>
    page.locator(`#status[data-state="${name}"]`).waitFor();

  it("T-22 carries notes between two devices, and the server stores no word of them", async () => {
    const laptop = await openNew();
    await write(laptop, "Buy milk.");
    const phone = await openNew();
    await shows(phone, ["Buy milk."]);
    await write(phone, "Feed the cat.\n<img src=x onerror=alert(1)>");
    await shows(laptop, ["Feed the cat.\n<img src=x onerror=alert(1)>", "Buy milk."]);
    for (const page of [laptop, phone]) {
      const lines = await page.locator("#stored > li > span").allTextContents();
      assert.equal(lines.length, 2, "both pages show what the server stores");
      for (const line of lines) assert.match(line, /^[\w-]{40,}…$/);
    }
    for (const { name } of await storage.list("")) {
      const stored = Buffer.from(await storage.get(name)).toString();
      assert.doesNotMatch(stored, /milk|cat/);
    }
    assert.deepEqual(pageErrors, []);
  });

  it("keeps everything across a reload", async () => {
    const page = await openNew();
    await write(page, "one");
    await write(page, "two");
    await state(page, "synced");
    await page.reload();
    await shows(page, ["two", "one"]);
    assert.equal(await page.getByLabel("Key, protected by the passphrase").inputValue(), key);
    assert.equal(await page.locator("#stored > li").count(), 2);
    await write(page, "three");
    await shows(await openNew(), ["three", "two", "one"]);
    assert.deepEqual(pageErrors, []);
  });

  it("takes notes while it is offline, says so, and sends them once it is online", async () => {
    const laptop = await openNew();
    const phone = await openNew();
    await state(phone, "synced");
    await phone.context().setOffline(true);
    await write(phone, "from the tunnel");
    await state(phone, "offline");
    assert.match(
      await phone.getByRole("status").first().innerText(),
      /^Offline: .*1 note not sent yet\./,
    );
    assert.equal(await phone.locator("#notes > li[data-pending]").count(), 1);
    await write(laptop, "meanwhile");
    await state(laptop, "synced");
    await phone.context().setOffline(false);
    await shows(phone, ["meanwhile", "from the tunnel"]);
    await shows(laptop, ["meanwhile", "from the tunnel"]);
    await state(phone, "synced");
    assert.equal(await phone.locator("#notes > li[data-pending]").count(), 0);
  });

  it("shows one notebook in two tabs of a profile, each with its own client id", async () => {
    const first = await openNew();
    const second = await open(first.context());
    await second.locator("#note").waitFor();
    await Promise.all([write(first, "from the first"), write(second, "from the second")]);
    const tabs = [first, second];
    for (const page of tabs) await page.locator("#notes > li").nth(1).waitFor();
    const clients = await Promise.all(tabs.map((page) => page.locator("#client").textContent()));
    assert.notEqual(clients[0], clients[1]);
    await second.close();
    await first.reload();
    await first.locator("#notes > li").nth(1).waitFor();
    assert.equal(
      await first.locator("#client").textContent(),
      clients[0],
      "a reload keeps the client id",
    );
    assert.deepEqual(pageErrors, []);
  });

  it("uses the key that another tab created, and does not replace it", async () => {
    const context = await device();
    const [first, second] = [await open(context), await open(context)];
    for (const page of [first, second]) await page.locator("#create").waitFor();
    await first.locator("#create-passphrase").fill(PASSPHRASE);
    await first.locator("#create button").click();
    for (const page of [first, second]) await page.locator("#note").waitFor();
    const notebooks = [first, second].map((page) => page.locator("#fingerprint").textContent());
    assert.equal(new Set(await Promise.all(notebooks)).size, 1);
  });

  it("can be used with the keyboard alone", async () => {
    const page = await open(await device());
    await page.locator("#create-passphrase").waitFor();
    const { keyboard } = page;
    await keyboard.press("Tab");
    assert.equal(await page.locator("#create-passphrase:focus").count(), 1);
    await keyboard.type("short");
    await keyboard.press("Enter");
    assert.equal(await page.locator("#create-passphrase:invalid:focus").count(), 1);
    await keyboard.press("Control+A");
    await keyboard.type(PASSPHRASE);
    await keyboard.press("Tab");
    await keyboard.press("Enter");
    await page.locator("#note:focus").waitFor();
    await keyboard.type("typed");
    await keyboard.press("Control+Enter");
    await shows(page, ["typed"]);
    await page.locator("#note:focus").waitFor();
    await keyboard.type("and by the button");
    await keyboard.press("Tab");
    await keyboard.press("Space");
    await shows(page, ["and by the button", "typed"]);
    // Next are the three sections at the side, which open and close.
    const stored = page.locator("#stored-details");
    await keyboard.press("Tab");
    await keyboard.press("Tab");
    assert.equal(await page.locator("#stored-details > summary:focus").count(), 1);
    await keyboard.press("Enter");
    assert.equal(await stored.getAttribute("open"), null);
    assert.deepEqual(pageErrors, []);
  });

  it("explains what is wrong with a key or a passphrase, and takes another attempt", async () => {
    await openNew();
    const page = await open(await device());
    await page.locator("#import").waitFor();
    await importKey(page, "not the passphrase");
    const alert = page.getByRole("alert");
    await alert.waitFor();
    assert.match(await alert.innerText(), /passphrase is wrong/);
    await page.locator("#import-passphrase:focus").waitFor();
    await importKey(page, PASSPHRASE);
    await page.locator("#note").waitFor();
    assert.equal(await alert.isVisible(), false);
  });

  it("shows an error within the screen of a phone, and no hidden element", async () => {
    await openNew();
    const viewport = { width: 360, height: 640 };
    const context = await browser.newContext({ viewport, isMobile: true, hasTouch: true });
    const page = await open(context);
    await page.locator("#import").waitFor();
    const hidden = page.locator("input[hidden]");
    for (const input of await hidden.all()) assert.equal(await input.isVisible(), false);
    await importKey(page, "not the passphrase");
    await page.locator("#import-passphrase:focus").waitFor();
    assert.ok(Number(await page.evaluate("scrollY")) > 0);
    const box = await page.getByRole("alert").boundingBox();
    assert.ok(box !== null && box.y >= 0 && box.y + box.height <= viewport.height);
    assert.equal(await page.evaluate("document.documentElement.scrollWidth"), viewport.width);
  });

  it("labels all fields for a screen reader, and announces new notes", async () => {
    const laptop = await openNew();
    const phone = await openNew();
    await state(phone, "synced");
    await write(laptop, "listen");
    await shows(phone, ["listen"]);
    const news = phone.locator("#news");
    assert.equal(await news.textContent(), "New note: listen");
    assert.equal(await news.getAttribute("role"), "status");
    const unlabeled = await phone.evaluate<string[]>(
      `[...document.querySelectorAll("input:not([hidden]), textarea")]
         .filter(({ labels }) => labels.length !== 1).map(({ id }) => id)`,
    );
    assert.deepEqual(unlabeled, []);
  });

  it("forgets the device in all tabs", async () => {
    const page = await openNew();
    await write(page, "stays with the others");
    await state(page, "synced");
    const second = await open(page.context());
    await second.locator("#note").waitFor();
    page.on("dialog", (dialog) => dialog.accept());
    await page.getByText("Leave").click();
    await page.getByRole("button", { name: "Forget this device" }).click();
    for (const tab of [page, second]) await tab.locator("#create").waitFor();
    const left = await page.evaluate<(string | undefined)[]>(
      `indexedDB.databases().then((all) => [...all.map(({ name }) => name), ...Object.keys(localStorage)])`,
    );
    assert.ok(
      left.every((name) => name === "notebook identity"),
      `left behind: ${left}`,
    );
    await shows(await openNew(), ["stays with the others"]);
  });
});
