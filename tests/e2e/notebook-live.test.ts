/** Notes that show at once: the web page waits for news, at the real server. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Page } from "playwright-core";
import { temporaryFolder } from "../support/folder.ts";
import { metricOf } from "../support/metrics.ts";
import { describeNotebook } from "../support/notebook-pages.ts";
import { freePort } from "../support/ports.ts";
import { startServer } from "../support/process.ts";
import { until } from "../support/socket.ts";

/** Sooner than a page that polls would show a note, and long for a busy machine. */
const SOON = { timeout: 20_000 };

describeNotebook("the notebook in Chromium, live", (pages) => {
  const live = (page: Page) => page.locator('#status[data-live="true"]').waitFor();
  const shown = (page: Page, text: string) =>
    page.locator("#notes > li", { hasText: text }).waitFor(SOON);
  const waiting = () => metricOf(pages().url, "sync_waiting");

  /** Waits until so many requests wait at the server, and stay that many. */
  async function settled(count: number): Promise<void> {
    let times = 0;
    await until(async () => {
      times = (await waiting()) === count ? times + 1 : 0;
      await sleep(20);
      return times > 20;
    }, `${count} requests wait`);
  }

  /** Makes a page believe that it is hidden or shown. A browser without windows hides none. */
  async function setHidden(page: Page, hidden: boolean): Promise<void> {
    await page.evaluate(`{
      Object.defineProperty(document, "hidden", { value: ${hidden}, configurable: true });
      document.dispatchEvent(new Event("visibilitychange")); }`);
  }

  it("shows a note of one browser in the other without a poll", async () => {
    const laptop = await pages().openNew();
    const phone = await pages().openNew();
    for (const page of [laptop, phone]) await live(page);
    await settled(2);
    await laptop.getByText("Synced, live").waitFor();
    for (const [from, to, text] of [
      [laptop, phone, "from the laptop"],
      [phone, laptop, "from the phone"],
    ] as const) {
      await pages().write(from, text);
      await shown(to, text);
    }
    assert.deepEqual(pages().errors, []);
  });

  it("waits with one request for three tabs, which all show what a tab or another device writes", async () => {
    const first = await pages().openNew();
    const context = first.context();
    const tabs = [first, await pages().open(context), await pages().open(context)];
    for (const tab of tabs) await live(tab);
    await settled(1);
    for (const [i, tab] of tabs.entries()) {
      await pages().write(tab, `by tab ${i}`);
      for (const other of tabs) await shown(other, `by tab ${i}`);
    }
    await settled(1);
    const phone = await pages().openNew();
    await live(phone);
    await pages().write(phone, "by the phone");
    for (const tab of tabs) await shown(tab, "by the phone");
    await settled(2);
    await first.close();
    await settled(2);
    await pages().write(phone, "to those left");
    for (const tab of tabs.slice(1)) await shown(tab, "to those left");
    assert.deepEqual(pages().errors, []);
  });

  it("does not wait in a tab that is hidden, and asks at once when it is shown", async () => {
    const first = await pages().openNew();
    const second = await pages().open(first.context());
    for (const tab of [first, second]) await live(tab);
    await settled(1);
    await setHidden(first, true);
    await settled(1);
    await setHidden(second, true);
    await settled(0);
    const phone = await pages().openNew();
    await live(phone);
    await pages().write(phone, "meanwhile");
    await pages().state(phone, "synced");
    assert.equal(await second.locator("#notes > li").count(), 0);
    await pages().write(second, "from a hidden tab");
    await shown(phone, "from a hidden tab");
    await setHidden(first, false);
    await shown(first, "meanwhile");
    await settled(2);
  });

  it("shows notes again after the server was stopped or killed, and started again", async () => {
    const folder = temporaryFolder();
    const PORT = String(await freePort());
    const settings = { STORAGE: folder.path, LISTING_TTL: "0", PORT };
    let server = await startServer(settings);
    try {
      const { url } = server;
      const open = async () => {
        const context = await pages().device();
        // Pages come back within a minute, and these at the beginning of it.
        await context.addInitScript("Math.random = () => 0.01;");
        return pages().openIn(context, url);
      };
      const [laptop, phone] = [await open(), await open()];
      for (const page of [laptop, phone]) await live(page);
      for (const signal of ["SIGTERM", "SIGKILL"] as const) {
        await server.end(signal);
        await pages().write(laptop, `before ${signal}`);
        await pages().state(laptop, "offline");
        server = await startServer(settings);
        await pages().shows(phone, await laptop.locator("#notes > li > p").allTextContents());
        for (const page of [laptop, phone]) await live(page);
      }
      await pages().write(laptop, "afterwards");
      await shown(phone, "afterwards");
    } finally {
      await server.end("SIGTERM");
      folder.remove();
    }
  });
});
