/** The web page of the notebook in headless Chromium, on the real server. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { importIdentity } from "../../client/identity.ts";
import { SyncClient } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { describeNotebook, PASSPHRASE } from "../support/notebook-pages.ts";

describeNotebook("the notebook in Chromium", (pages) => {
  it("T-22 carries notes between two devices, and the server stores no word of them", async () => {
    const laptop = await pages().openNew();
    await pages().write(laptop, "Buy milk.");
    const phone = await pages().openNew();
    await pages().shows(phone, ["Buy milk."]);
    await pages().write(phone, "Feed the cat.\n<img src=x onerror=alert(1)>");
    await pages().shows(laptop, ["Feed the cat.\n<img src=x onerror=alert(1)>", "Buy milk."]);
    for (const page of [laptop, phone]) {
      await pages().showStored(page);
      await page.getByText("2 operations, ").waitFor();
      const lines = await page.locator("#stored > li > span").allTextContents();
      assert.equal(lines.length, 2, "both pages show what the server stores");
      for (const line of lines) assert.match(line, /^[\w-]{40,}…$/);
    }
    for (const { name } of await pages().storage.list("")) {
      const stored = Buffer.from(await pages().storage.get(name)).toString();
      assert.doesNotMatch(stored, /Buy milk|Feed the cat/);
    }
    assert.deepEqual(pages().errors, []);
  });

  it("shows of many notes those on the screen, parses each once, and has the rest at hand", async () => {
    const page = await pages().openNew();
    await pages().state(page, "synced");
    // Nothing is received before the page counts, nor by a request that waits already.
    await page.route("**/sync", (route) => route.abort());
    await page.reload();
    await pages().state(page, "offline");
    const count = 400;
    const identity = await importIdentity(pages().key, PASSPHRASE);
    const writer = await SyncClient.open({
      url: pages().url,
      identity,
      store: new MemoryStore(),
      receive: () => undefined,
    });
    const texts = Array.from({ length: count }, (_, i) => `note ${i}`);
    // In the earlier form of a note, which has to be parsed.
    await writer.appendAll(texts.map((text, i) => JSON.stringify({ at: 1_000_000 + i, text })));
    await writer.sync();
    await writer.close();
    await page.addInitScript(`{
      const parse = JSON.parse;
      window.parsed = 0;
      JSON.parse = (...args) => { window.parsed++; return parse(...args); }; }`);
    await page.unroute("**/sync");
    await page.reload();
    await pages().state(page, "synced");
    const newest = texts.toReversed();
    await pages().shows(page, newest.slice(0, 50));
    const parsed = await page.evaluate("parsed");
    assert.equal(parsed, 1 + count, "the line of the operation, and each note in it");
    await page.getByRole("button", { name: "Show older notes" }).scrollIntoViewIfNeeded();
    await pages().shows(page, newest.slice(0, 100));
    await pages().showStored(page);
    await page.getByText("1 operation, ").waitFor();
    assert.equal(await page.locator("#stored > li").count(), 1);
  });

  it("keeps everything across a reload", async () => {
    const page = await pages().openNew();
    await pages().write(page, "one");
    await pages().write(page, "two");
    await pages().state(page, "synced");
    await page.reload();
    await pages().shows(page, ["two", "one"]);
    assert.equal(await page.locator("#notes p").first().getAttribute("dir"), "auto");
    assert.equal(
      await page.getByLabel("Key, protected by the passphrase").inputValue(),
      pages().key,
    );
    await pages().showStored(page);
    await page.getByText("2 operations, ").waitFor();
    assert.equal(await page.locator("#stored > li").count(), 2);
    await pages().write(page, "three");
    await pages().shows(await pages().openNew(), ["three", "two", "one"]);
    assert.deepEqual(pages().errors, []);
  });

  it("shows offline, after a reload, what other devices wrote, and stores no word of it", async () => {
    const laptop = await pages().openNew();
    await pages().write(laptop, "Buy milk.");
    const phone = await pages().openNew();
    await pages().shows(phone, ["Buy milk."]);
    await pages().write(phone, "Feed the cat.");
    await pages().state(phone, "synced");
    const counts = new Set<string | undefined>();
    phone.on("response", (response) => {
      if (response.url().endsWith("/sync")) counts.add(response.headers()["operation-count"]);
    });
    await phone.reload();
    await pages().shows(phone, ["Feed the cat.", "Buy milk."]);
    await pages().state(phone, "synced");
    counts.delete("0");
    assert.deepEqual(counts, new Set(["1"]), "only the last one of the laptop is asked for again");
    await pages().showStored(phone);
    await phone.getByText("2 operations, ").waitFor();
    await phone.route("**/sync", (route) => route.abort());
    await phone.reload();
    await pages().state(phone, "offline");
    await pages().shows(phone, ["Feed the cat.", "Buy milk."]);
    await phone.route("**/sync", (route) => {
      const headers = { "Content-Type": "application/problem+json" };
      const body = JSON.stringify({ type: "urn:sync-server:user-not-allowed", detail: "No." });
      return route.fulfill({ status: 403, headers, body });
    });
    await phone.reload();
    await pages().state(phone, "refused");
    await pages().shows(phone, ["Feed the cat.", "Buy milk."]);
    const stored = await phone.evaluate<string>(`(async () => {
      const all = [];
      for (const { name } of await indexedDB.databases()) {
        const opening = indexedDB.open(name);
        await new Promise((resolve) => { opening.onsuccess = resolve; });
        const database = opening.result;
        for (const table of database.objectStoreNames) {
          const reading = database.transaction(table).objectStore(table).getAll();
          await new Promise((resolve) => { reading.onsuccess = resolve; });
          all.push(name, ...reading.result);
        }
        database.close();
      }
      return JSON.stringify(all); })()`);
    assert.match(stored, /"payloads":\["/);
    // With a space, which no base64 has by chance.
    for (const text of ["Buy milk", "Feed the cat"]) {
      for (const row of stored.split('"')) {
        assert.doesNotMatch(Buffer.from(row, "base64url").toString(), new RegExp(text));
      }
      assert.ok(!stored.includes(text));
    }
    assert.deepEqual(pages().errors, []);
  });

  it("takes notes while it is offline, says so, and sends them once it is online", async () => {
    const laptop = await pages().openNew();
    const phone = await pages().openNew();
    await pages().state(phone, "synced");
    await phone.context().setOffline(true);
    await pages().write(phone, "from the tunnel");
    await pages().state(phone, "offline");
    assert.match(
      await phone.getByRole("status").first().innerText(),
      /^Offline: .*1 note not sent yet\./,
    );
    assert.equal(await phone.locator("#notes > li[data-pending]").count(), 1);
    await pages().write(laptop, "meanwhile");
    await pages().state(laptop, "synced");
    await phone.context().setOffline(false);
    await pages().shows(phone, ["meanwhile", "from the tunnel"]);
    await pages().shows(laptop, ["meanwhile", "from the tunnel"]);
    await phone.locator('#status[data-state="synced"][data-live="true"]').waitFor();
    assert.equal(await phone.locator("#notes > li[data-pending]").count(), 0);
  });

  it("shows one notebook in two tabs of a profile, which have one client id", async () => {
    const first = await pages().openNew();
    const second = await pages().open(first.context());
    await second.locator("#note").waitFor();
    await Promise.all([
      pages().write(first, "from the first"),
      pages().write(second, "from the second"),
    ]);
    const tabs = [first, second];
    for (const page of tabs) await page.locator("#notes > li").nth(1).waitFor();
    const clients = await Promise.all(tabs.map((page) => page.locator("#client").textContent()));
    assert.equal(clients[0], clients[1]);
    await second.close();
    await first.reload();
    await first.locator("#notes > li").nth(1).waitFor();
    assert.equal(
      await first.locator("#client").textContent(),
      clients[0],
      "a reload keeps the client id",
    );
    assert.deepEqual(pages().errors, []);
  });

  it("uses the key that another tab created, and does not replace it", async () => {
    const context = await pages().device();
    const [first, second] = [await pages().open(context), await pages().open(context)];
    for (const page of [first, second]) await page.locator("#create").waitFor();
    await pages().create(first);
    await second.getByRole("heading", { name: "Save your key" }).waitFor();
    await pages().keepKey(first);
    for (const page of [first, second]) await page.locator("#note").waitFor();
    const notebooks = [first, second].map((page) => page.locator("#fingerprint").textContent());
    assert.equal(new Set(await Promise.all(notebooks)).size, 1);
  });

  it("can be used with the keyboard alone", async () => {
    const page = await pages().open(await pages().device({}, false));
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
    await keyboard.press("Space");
    assert.equal(await page.locator("#create-passphrase").getAttribute("type"), "text");
    await keyboard.press("Tab");
    await keyboard.press("Enter");
    await page.locator("#keep-key-title:focus").waitFor();
    const tab = async (id: string) => {
      await keyboard.press("Tab");
      assert.equal(await page.locator(`${id}:focus`).count(), 1, id);
    };
    for (const id of ["#kept-key", "#keep-copy", "#keep-download"]) await tab(id);
    await keyboard.press("Enter");
    for (const id of ["#keep-print", "#keep-scan > summary", "#kept"]) await tab(id);
    await keyboard.press("Enter");
    await page.locator("#note:focus").waitFor();
    await keyboard.type("typed");
    await keyboard.press("Control+Enter");
    await pages().shows(page, ["typed"]);
    await page.locator("#note:focus").waitFor();
    await keyboard.type("and by the button");
    await keyboard.press("Tab");
    await keyboard.press("Space");
    await pages().shows(page, ["and by the button", "typed"]);
    // Next are the search and the notes, then the sections at the side, which open and close.
    await keyboard.press("Tab");
    await keyboard.press("Tab");
    assert.equal(await page.locator("#search:focus").count(), 1);
    for (const button of ["Edit", "Delete", "Edit", "Delete"]) {
      await keyboard.press("Tab");
      assert.equal(await page.locator("#notes button:focus").textContent(), button);
    }
    const device = page.locator("#device-details");
    for (const open of ["", null]) {
      while ((await page.locator("#device-details > summary:focus").count()) === 0) {
        await keyboard.press("Tab");
      }
      await keyboard.press("Enter");
      assert.equal(await device.getAttribute("open"), open);
    }
    assert.deepEqual(pages().errors, []);
  });

  it("explains what is wrong with a key or a passphrase, and takes another attempt", async () => {
    const page = await pages().open(await pages().device());
    await pages().importKey(page, "not the passphrase");
    const alert = page.getByRole("alert");
    await alert.waitFor();
    assert.match(await alert.innerText(), /passphrase is wrong/);
    await page.locator("#import-passphrase:focus").waitFor();
    await pages().importKey(page, PASSPHRASE);
    await page.locator("#note").waitFor();
    assert.equal(await alert.isVisible(), false);
  });

  it("shows a passphrase as it is typed, and hides it once it is submitted", async () => {
    const page = await pages().open(await pages().device());
    for (const form of ["create", "import"] as const) {
      await pages().showForm(page, form);
      const field = page.locator(`#${form}-passphrase`);
      const box = page.locator(`#${form}`).getByLabel("Show what is typed");
      const type = () => field.getAttribute("type");
      await box.check();
      assert.equal(await type(), "text");
      await box.uncheck();
      assert.equal(await type(), "password");
    }
    await page.locator("#import").getByLabel("Show what is typed").check();
    await pages().importKey(page, "not the passphrase");
    await page.locator("#import-passphrase:focus").waitFor();
    assert.equal(await page.locator("#import-passphrase").getAttribute("type"), "password");
    assert.equal(await page.locator("#import-shown").isChecked(), false);
  });

  it("shows an error within the screen of a phone, and no hidden element", async () => {
    const viewport = { width: 360, height: 640 };
    const context = await pages().browser.newContext({ viewport, isMobile: true, hasTouch: true });
    const page = await pages().open(context);
    await pages().showForm(page, "import");
    const hidden = page.locator("input[hidden]");
    for (const input of await hidden.all()) assert.equal(await input.isVisible(), false);
    await pages().importKey(page, "not the passphrase");
    await page.locator("#import-passphrase:focus").waitFor();
    assert.ok(Number(await page.evaluate("scrollY")) > 0);
    const box = await page.getByRole("alert").boundingBox();
    assert.ok(box !== null && box.y >= 0 && box.y + box.height <= viewport.height);
    assert.equal(await page.evaluate("document.documentElement.scrollWidth"), viewport.width);
  });

  it("labels all fields for a screen reader, and announces new notes", async () => {
    const laptop = await pages().openNew();
    const phone = await pages().openNew();
    await pages().state(phone, "synced");
    await pages().write(laptop, "listen");
    await pages().shows(phone, ["listen"]);
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
    const page = await pages().openNew();
    await pages().write(page, "stays with the others");
    await pages().state(page, "synced");
    const second = await pages().open(page.context());
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
    await pages().shows(await pages().openNew(), ["stays with the others"]);
  });
});
