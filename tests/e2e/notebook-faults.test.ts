/** The web page of the notebook in a browser that lacks, forbids or loses something. */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { Page } from "playwright-core";
import { describeNotebook, keyIn, PASSPHRASE } from "../support/notebook-pages.ts";

/** What a page runs first, to be a browser of another kind. */
const FORBID = {
  "without IndexedDB": `Object.defineProperty(window, "indexedDB", { value: undefined })`,
  "that forbids IndexedDB": `Object.defineProperty(window, "indexedDB", {
    get() { throw new DOMException("denied", "SecurityError"); } })`,
  "that forbids localStorage": `Object.defineProperty(window, "localStorage", {
    get() { throw new DOMException("denied", "SecurityError"); } })`,
  "that refuses to open a database": `IDBFactory.prototype.open = () => {
    throw new DOMException("denied", "SecurityError"); }`,
  "whose database fails to open": `{
    const open = IDBFactory.prototype.open;
    IDBFactory.prototype.open = function () { return open.call(this, "x", 1); };
    const old = indexedDB.open("x", 2); }`,
  "without Web Locks": `Object.defineProperty(Navigator.prototype, "locks", { value: undefined })`,
  "without BroadcastChannel": `delete window.BroadcastChannel`,
  "without Promise.withResolvers": `delete Promise.withResolvers`,
};

/** Gives the page `breakConnections(isSilent)`, which closes the databases that it has open. */
const BREAKABLE = `{
  const open = IDBFactory.prototype.open;
  const opened = new Set();
  IDBFactory.prototype.open = function (...args) {
    const request = open.apply(this, args);
    request.addEventListener("success", () => opened.add(request.result));
    return request;
  };
  window.breakConnections = (isSilent) => {
    const all = [...opened];
    opened.clear();
    for (const database of all) {
      database.close();
      if (!isSilent) database.dispatchEvent(new Event("close"));
    }
  };
}`;

describeNotebook("the notebook in a faulty browser", (pages) => {
  /** The error that the page shows, once it has stopped. */
  async function stopped(page: Page): Promise<string> {
    await pages().state(page, "stopped");
    assert.equal(await page.locator("#status").textContent(), "Stopped");
    return page.getByRole("alert").innerText();
  }

  it("says over plain HTTP that it needs HTTPS", async () => {
    const page = await pages().open(await pages().device(), pages().plainUrl);
    assert.match(
      await stopped(page),
      /^Browsers encrypt only on pages from localhost or over HTTPS/,
    );
    assert.equal(await page.locator("#slow").isVisible(), false);
  });

  it("says after a while that the browser cannot run it, if the script does not run", async () => {
    const context = await pages().device();
    await context.route("**/notebook.js?*", (route) => route.abort());
    const page = await pages().open(context);
    await page.getByText("this browser cannot run the page").waitFor();
  });

  for (const [browser, script] of Object.entries(FORBID)) {
    it(`says what is wrong, and what to do, in a browser ${browser}`, async () => {
      const context = await pages().device();
      await context.addInitScript(script);
      const message = await stopped(await pages().open(context));
      assert.match(message, /^(This browser does not have|The browser does not store)/);
      assert.match(message, /allow this site to store data/);
    });
  }

  it("does not create a key where it cannot be stored, and says why", async () => {
    const context = await pages().device();
    await context.addInitScript(`IDBObjectStore.prototype.put = () => {
      throw new DOMException("the disk is full", "QuotaExceededError"); }`);
    const page = await pages().open(context);
    await page.locator("#create-passphrase").fill(PASSPHRASE);
    await page.locator("#create-passphrase").press("Enter");
    await page.getByRole("alert").waitFor();
    assert.match(await page.getByRole("alert").innerText(), /the disk is full\): make room/);
    assert.ok(await page.locator("#create-passphrase").isEnabled());
  });

  for (const isSilent of [false, true]) {
    const how = isSilent ? "without a word" : "with an event";
    it(`goes on where the browser closes its database ${how}`, async () => {
      const context = await pages().device();
      await context.addInitScript(BREAKABLE);
      const page = await pages().openIn(context);
      await pages().state(page, "synced");
      await page.evaluate(`breakConnections(${isSilent})`);
      await pages().write(page, "afterwards");
      await pages().shows(await pages().openNew(), ["afterwards"]);
      await page.reload();
      await pages().shows(page, ["afterwards"]);
      assert.deepEqual(pages().errors, []);
    });
  }

  it("stops, keeps what is typed and says so where the browser does not open its database again", async () => {
    const context = await pages().device();
    await context.addInitScript(BREAKABLE);
    const page = await pages().openIn(context);
    await pages().state(page, "synced");
    await page.locator("#note").fill("typed");
    await page.evaluate(`IDBFactory.prototype.open = () => {
      throw new DOMException("Connection to Indexed Database server lost", "UnknownError"); };
      breakConnections(false)`);
    assert.match(await stopped(page), /server lost: reload this page\.$/);
    await page.locator("#note").press("Control+Enter");
    assert.equal(await page.locator("#note").inputValue(), "typed");
    assert.match(await stopped(page), /server lost: reload this page\.$/);
  });

  it("stops where its database is deleted under it, and has the sent notes after a reload", async () => {
    const page = await pages().openNew();
    await pages().write(page, "sent");
    await pages().state(page, "synced");
    await page.evaluate(`new Promise((resolve, reject) => {
      const request = indexedDB.deleteDatabase("notebook");
      request.onsuccess = resolve;
      request.onerror = reject;
      request.onblocked = reject; })`);
    assert.match(await stopped(page), /was deleted: reload this page\.$/);
    await page.reload();
    await pages().shows(page, ["sent"]);
    await pages().state(page, "synced");
  });

  it("opens the notebook again with the stored text, where the browser lost the key", async () => {
    const page = await pages().openNew();
    await pages().write(page, "sent");
    await pages().state(page, "synced");
    const fingerprint = await page.locator("#fingerprint").textContent();
    await page.evaluate(`indexedDB.deleteDatabase("notebook identity")`);
    await page.reload();
    await page.getByText("but still has its key").waitFor();
    assert.equal(await page.locator("#import-key").inputValue(), pages().key);
    await page.locator("#import-passphrase").fill(PASSPHRASE);
    await page.getByRole("button", { name: "Open the notebook" }).click();
    await pages().shows(page, ["sent"]);
    assert.equal(await page.locator("#fingerprint").textContent(), fingerprint);
  });

  it("keeps the text of a lost key when another key is created, and offers it afterwards", async () => {
    const page = await pages().openNew();
    await page.evaluate(`indexedDB.deleteDatabase("notebook identity")`);
    await page.reload();
    await pages().create(page);
    await pages().keepKey(page);
    const area = page.getByLabel("Key, protected by the passphrase");
    assert.notEqual(await area.inputValue(), pages().key);
    page.on("dialog", (dialog) => dialog.accept());
    await page.getByText("Leave").click();
    await page.getByRole("button", { name: "Forget this device" }).click();
    await page.locator("#import").waitFor();
    assert.equal(await page.locator("#import-key").inputValue(), pages().key);
  });

  it("says that the text of the key is lost, and lets no one copy an empty one", async () => {
    const page = await pages().openNew();
    await page.evaluate("localStorage.clear()");
    await page.reload();
    await page.locator("#note").waitFor();
    await page.locator("#device-details > summary").click();
    await page.getByText("has lost the text of the key").waitFor();
    assert.ok(await page.getByRole("button", { name: "Copy the key" }).isDisabled());
  });

  it("offers the stored text of the key where the database cannot be opened", async () => {
    const page = await pages().openNew();
    await page.addInitScript(FORBID["that refuses to open a database"]);
    await page.reload();
    await stopped(page);
    assert.equal(await page.locator("#stored-key").inputValue(), pages().key);
  });

  /** Changes a database behind the page's back; `work` has its tables. */
  const damage = (page: Page, database: string, tables: readonly string[], work: string) =>
    page.evaluate(`new Promise((resolve, reject) => {
      const opening = indexedDB.open("${database}");
      opening.onsuccess = () => {
        const transaction = opening.result.transaction(${JSON.stringify(tables)}, "readwrite");
        const table = (name) => transaction.objectStore(name);
        ${work}
        transaction.oncomplete = () => resolve(opening.result.close());
        transaction.onabort = () => reject(transaction.error);
      }; })`);

  it("goes on where a note is lost, and says what had not been sent", async () => {
    const context = await pages().device();
    const page = await pages().openIn(context);
    await pages().write(page, "sent");
    await pages().state(page, "synced");
    await context.route("**/sync", (route) => route.abort());
    for (const text of ["lost", "after it", "and after that"]) await pages().write(page, text);
    await page.getByText("3 notes not sent yet").waitFor();
    const lost = `table("operations").getAllKeys().onsuccess = ({ target }) =>
      table("operations").delete(target.result[1]);`;
    await damage(page, "notebook", ["operations"], lost);
    await context.unroute("**/sync");
    await page.reload();
    await pages().state(page, "synced");
    await pages().shows(page, ["sent"]);
    const message = await page.getByRole("alert").innerText();
    assert.match(message, /notes written here that can still be read are sent again/);
    assert.match(message, /Some had not been sent, and cannot be read any more: write again/);
    await pages().write(page, "next");
    await pages().shows(await pages().openNew(), ["next", "sent"]);
    await page.reload();
    await pages().shows(page, ["next", "sent"]);
    assert.equal(await page.locator("#damaged").isVisible(), false);
    assert.deepEqual(pages().errors, []);
  });

  it("goes on where its list of notes is damaged, and says that some may be lost", async () => {
    const page = await pages().openNew();
    await pages().write(page, "sent");
    await pages().state(page, "synced");
    const spoil = `table("own").openCursor().onsuccess = ({ target }) =>
      target.result.update({ ...target.result.value, length: undefined });`;
    await damage(page, "notebook", ["own"], spoil);
    await page.reload();
    await page.getByText("look for those that you wrote last").waitFor();
    await pages().shows(page, ["sent"]);
    await pages().state(page, "synced");
  });

  it("shows the notes before one that does not open, and says what to do about the rest", async () => {
    const page = await pages().openNew();
    for (const text of ["one", "two"]) {
      await pages().write(page, text);
      await pages().state(page, "synced");
    }
    const flip = `table("operations").openCursor(null, "prev").onsuccess = ({ target }) => {
      const { payload, ...row } = target.result.value;
      target.result.update({ ...row, payload: payload.slice(0, -9) + "AAAAAAAAA" }); };`;
    await damage(page, "notebook", ["operations"], flip);
    await page.reload();
    await page.getByText("this browser has damaged one").waitFor();
    await page.locator("#note").waitFor();
    assert.deepEqual(pages().errors, []);
  });

  it("shows what other devices wrote where the browser has damaged or lost what it kept of that", async () => {
    const laptop = await pages().openNew();
    await pages().write(laptop, "from the laptop");
    const phone = await pages().openNew();
    await pages().shows(phone, ["from the laptop"]);
    const flip = `table("received").openCursor(null, "prev").onsuccess = ({ target }) => {
      const { payloads, ...row } = target.result.value;
      const flipped = payloads.map((payload) => payload.slice(0, -9) + "AAAAAAAAA");
      target.result.update({ ...row, payloads: flipped }); };`;
    for (const work of [flip, `table("received").clear();`]) {
      await damage(phone, "notebook", ["received"], work);
      await phone.reload();
      await pages().shows(phone, ["from the laptop"]);
      await pages().state(phone, "synced");
    }
    assert.deepEqual(pages().errors, []);
  });

  it("asks for the passphrase where the stored key is damaged, and loses nothing of it", async () => {
    const page = await pages().openNew();
    await pages().write(page, "sent");
    await pages().state(page, "synced");
    await damage(page, "notebook identity", ["identity"], `table("identity").put({}, "current");`);
    await page.reload();
    await page.getByText("but still has its key").waitFor();
    assert.equal(await page.locator("#import-key").inputValue(), pages().key);
    await page.locator("#import-passphrase").fill(PASSPHRASE);
    await page.getByRole("button", { name: "Open the notebook" }).click();
    await pages().shows(page, ["sent"]);
    const kept = `table("identity").getAllKeys().onsuccess = ({ target }) => { window.keys = target.result; };`;
    await damage(page, "notebook identity", ["identity"], kept);
    const keys = JSON.stringify(await page.evaluate("window.keys"));
    assert.match(keys, /^\["current","damaged /);
  });

  it("ends with one key in both tabs, if both create one at the same time", async () => {
    const context = await pages().device();
    const tabs = [await pages().open(context), await pages().open(context)];
    for (const page of tabs) await page.locator("#create-passphrase").fill(PASSPHRASE);
    await Promise.all(tabs.map((page) => page.locator("#create-passphrase").press("Enter")));
    await pages().keepKey(tabs[0] ?? assert.fail());
    for (const page of tabs) await page.locator("#note").waitFor();
    const texts = await Promise.all(tabs.map((page) => page.locator("#key").inputValue()));
    assert.equal(new Set(texts.map(keyIn)).size, 1);
  });

  it("shows that it syncs, and how far it is, through a long first sync", async () => {
    const laptop = await pages().openNew();
    await pages().write(laptop, "one");
    await pages().state(laptop, "synced");
    const context = await pages().device();
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await context.route("**/sync", async (route) => {
      await held;
      await route.continue();
    });
    const phone = await pages().openIn(context);
    await pages().state(phone, "pending");
    assert.equal(await phone.locator("#status").textContent(), "Syncing…");
    await phone.evaluate(`window.seen = []; new MutationObserver(() =>
      seen.push(document.querySelector("#progress").textContent)).observe(
        document.querySelector("#progress"), { childList: true })`);
    release();
    await pages().shows(phone, ["one"]);
    await pages().state(phone, "synced");
    assert.deepEqual(await phone.evaluate("seen"), ["1 note received", ""]);
  });

  it("does not say only that it is synced where notes are refused", async () => {
    const context = await pages().device();
    await context.route("**/sync", (route) => {
      const line = { client_id: crypto.randomUUID(), operation_index: 0, payload: "AQID" };
      const headers = { "Content-Type": "application/x-ndjson", "Operation-Count": "1" };
      return route.fulfill({ headers, body: `${JSON.stringify(line)}\n` });
    });
    const page = await pages().openIn(context);
    await page.getByText(/^Synced \(notes of \d+ devices? refused\)$/).waitFor();
    assert.match(await page.getByRole("alert").innerText(), /are not shown: forged/);
  });
});
