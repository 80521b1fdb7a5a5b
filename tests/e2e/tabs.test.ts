/** Tabs of one browser, which share a log and a connection: clients in Chromium, at the real server. */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { BrowserContext, Page, Request } from "playwright-core";
import { identityOf } from "../../client/identity/identity.ts";
import { type Store, SyncClient, textOf } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { fromBase64url } from "../../protocol/base64.ts";
import { bundled } from "../support/chromium.ts";
import { describeNotebook } from "../support/notebook-pages.ts";
import { until } from "../support/socket.ts";
import vectors from "../vectors/envelope.json" with { type: "json" };

/** A browser with tabs, and what they send. */
class Browser {
  readonly context: BrowserContext;
  /** The requests of each tab. */
  readonly requests: Request[] = [];
  /** Holds requests back as long as it is set. */
  held: Promise<void> | undefined;
  /** Whether the server is out of reach. */
  isOffline = false;
  readonly #url: string;

  private constructor(context: BrowserContext, url: string) {
    this.context = context;
    this.#url = url;
  }

  static async open(context: BrowserContext, url: string): Promise<Browser> {
    const browser = new Browser(context, url);
    const script = await bundled("tab-page.ts");
    const body = `<!doctype html><meta charset="utf-8"><script type="module">${script}</script>`;
    await context.route("**/tab.html", (route) =>
      route.fulfill({ contentType: "text/html; charset=utf-8", body }),
    );
    await context.route("**/sync", async (route) => {
      browser.requests.push(route.request());
      await browser.held;
      if (browser.isOffline) await route.abort();
      else await route.continue();
    });
    return browser;
  }

  /** Opens a tab, with its client. */
  async tab(cursors = false): Promise<Tab> {
    const page = await this.context.newPage();
    await page.goto(new URL("tab.html", this.#url).href);
    await page.waitForFunction("globalThis.tab !== undefined");
    const slot = await page.evaluate<number>(`tab.open(${cursors})`);
    return new Tab(page, slot);
  }

  /** How many requests a tab has sent. */
  sent(tab: Tab): number {
    return this.requests.filter((request) => request.frame().page() === tab.page).length;
  }
}

class Tab {
  readonly page: Page;
  readonly slot: number;

  constructor(page: Page, slot: number) {
    this.page = page;
    this.slot = slot;
  }

  append(texts: readonly string[]): Promise<void> {
    return this.page.evaluate(`tab.append(${JSON.stringify(texts)})`);
  }

  /** `synced`, or the error. */
  sync(): Promise<string> {
    return this.page.evaluate("tab.sync()");
  }

  get<Value>(expression: string): Promise<Value> {
    return this.page.evaluate(`tab.${expression}`);
  }

  /** Waits until exactly these were delivered, in any order. */
  async has(texts: readonly string[]): Promise<void> {
    const expected = texts.toSorted();
    let received: string[] = [];
    await until(async () => {
      received = await this.get<string[]>("received");
      return received.length >= expected.length;
    }, `${expected.length} entries in the tab ${this.slot}`).catch(() => undefined);
    assert.deepEqual(received.toSorted(), expected);
  }

  state(name: string): Promise<void> {
    return until(async () => (await this.get("state()")) === name, `the tab is ${name}`);
  }

  /** Makes the page believe that it is hidden or shown. */
  async setHidden(hidden: boolean): Promise<void> {
    await this.page.evaluate(`{
      Object.defineProperty(document, "hidden", { value: ${hidden}, configurable: true });
      document.dispatchEvent(new Event("visibilitychange")); }`);
  }
}

function numbered(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${name} ${i}`);
}

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describeNotebook("tabs of a browser", (pages) => {
  const browser = async () => Browser.open(await pages().device(), pages().url);

  /** What another device of the user has after a sync; it may append before. */
  async function phone(
    texts: readonly string[] = [],
    store: Store = new MemoryStore(),
  ): Promise<string[]> {
    const received: string[] = [];
    const client = await SyncClient.open({
      url: pages().url,
      identity: await identityOf(fromBase64url(vectors.private_key_pkcs8) ?? new Uint8Array()),
      store,
      receive: (entries) => {
        received.push(...entries.map(({ data }) => textOf(data)));
      },
    });
    for (const text of texts) await client.append(text);
    await client.sync();
    assert.deepEqual(client.refusals, []);
    await client.close();
    return received;
  }

  it("have each entry once, under one client id, that both append at the same time", async () => {
    const one = await browser();
    const [first, second] = [await one.tab(), await one.tab()];
    assert.deepEqual([first.slot, second.slot], [0, 1]);
    const texts = { first: numbered("first", 150), second: numbered("second", 150) };
    await Promise.all([first.append(texts.first), second.append(texts.second)]);
    const all = [...texts.first, ...texts.second];
    for (const tab of [first, second]) await tab.has(all);
    for (const tab of [first, second]) assert.equal(await tab.sync(), "synced");
    assert.equal(await first.get("client()"), await second.get("client()"));
    assert.deepEqual((await phone()).toSorted(), all.toSorted());
    for (const tab of [first, second]) assert.equal(await tab.get("own()"), all.length);
  });

  it("download nothing that another tab has, and ask the server with one request", async () => {
    await phone(numbered("theirs", 20));
    const one = await browser();
    const first = await one.tab();
    await first.has(numbered("theirs", 20));
    await first.state("synced");
    const second = await one.tab();
    await second.has(numbered("theirs", 20));
    await second.state("synced");
    const third = await one.tab(true);
    await third.has(numbered("theirs", 20));
    assert.deepEqual([one.sent(second), one.sent(third)], [0, 0]);
    await phone(["more"]);
    for (const tab of [first, second, third]) {
      await tab.has([...numbered("theirs", 20), "more"]);
    }
    assert.deepEqual([one.sent(second), one.sent(third)], [0, 0]);
    // Each has it delivered once, over a reload as well.
    for (const tab of [first, second]) await tab.page.close();
    const again = await one.tab();
    assert.equal(again.slot, 0);
    await again.append(["last"]);
    await again.has(["last"]);
  });

  it("show each other's entries while the server is out of reach", async () => {
    const one = await browser();
    one.isOffline = true;
    const [first, second] = [await one.tab(), await one.tab()];
    await first.append(["by the first"]);
    await second.has(["by the first"]);
    await second.append(["by the second"]);
    await first.has(["by the first", "by the second"]);
    for (const tab of [first, second]) {
      await tab.state("offline");
      await until(async () => (await tab.get("pending()")) === 2, "both entries are pending");
    }
    one.isOffline = false;
    assert.equal(await second.sync(), "synced");
    assert.deepEqual(await phone(), ["by the first", "by the second"]);
  });

  for (const end of ["page", "client"] as const) {
    it(`go on where the ${end} of the leading one is closed in the middle of a request`, async () => {
      const one = await browser();
      const [first, second] = [await one.tab(), await one.tab()];
      assert.equal(await second.sync(), "synced");
      assert.equal(one.sent(second), 0);
      const { opened, open } = gate();
      one.held = opened;
      const before = one.sent(first);
      await first.append(numbered("first", 5));
      await second.append(numbered("second", 5));
      const synced = second.sync();
      await until(() => one.sent(first) > before, "the first tab sends");
      if (end === "page") await first.page.close();
      else await first.get("close()");
      open();
      one.held = undefined;
      assert.equal(await synced, "synced");
      const all = [...numbered("first", 5), ...numbered("second", 5)];
      await second.has(all);
      assert.deepEqual((await phone()).toSorted(), all.toSorted());
      assert.ok(one.sent(second) > 0);
    });
  }

  it("reject a sync with what the leading one is told by the server", async () => {
    const one = await browser();
    const [first, second] = [await one.tab(), await one.tab()];
    for (const tab of [first, second]) assert.equal(await tab.sync(), "synced");
    await one.context.unroute("**/sync");
    await one.context.route("**/sync", (route) =>
      route.fulfill({
        status: 403,
        contentType: "application/problem+json",
        body: JSON.stringify({
          type: "urn:sync-server:user-not-allowed",
          title: "T",
          status: 403,
          detail: "Not you.",
        }),
      }),
    );
    assert.match(await second.sync(), /ServerRejected.*Not you/);
    await second.state("refused");
  });

  it("let one that is shown lead in the place of one that is hidden", async () => {
    const one = await browser();
    const [first, second] = [await one.tab(), await one.tab()];
    for (const tab of [first, second]) await tab.state("synced");
    assert.equal(one.sent(second), 0);
    await first.setHidden(true);
    await until(() => one.sent(second) > 0, "the second leads");
    const before = one.sent(first);
    await first.append(["by the hidden one"]);
    assert.equal(await first.sync(), "synced");
    assert.equal(one.sent(first), before);
    await second.setHidden(true);
    await second.append(["while all are hidden"]);
    assert.equal(await second.sync(), "synced");
    const all = ["by the hidden one", "while all are hidden", "by the phone"];
    assert.deepEqual((await phone(["by the phone"])).toSorted(), all.toSorted());
    await first.setHidden(false);
    for (const tab of [first, second]) await tab.has(all);
  });

  it("take the lead from a tab that is suspended", async () => {
    const one = await browser();
    const first = await one.context.newPage();
    await first.goto(new URL("tab.html", pages().url).href);
    await first.evaluate(`navigator.locks.request("tabs ${vectors.fingerprint} leads", () =>
      new Promise(() => undefined)); undefined`);
    const second = await one.tab();
    await second.append(["sent"]);
    assert.equal(await second.sync(), "synced");
    assert.deepEqual(await phone(), ["sent"]);
  });

  it("both learn the new client id where another device has taken the place of theirs", async () => {
    const one = await browser();
    one.isOffline = true;
    const [first, second] = [await one.tab(), await one.tab()];
    await first.append(["one"]);
    await second.append(["two"]);
    const all = ["one", "two"];
    for (const tab of [first, second]) await tab.has(all);
    const copied = await first.get<string>("client()");
    const copy = new MemoryStore();
    await copy.begin(copied);
    assert.deepEqual(await phone(["of the copy"], copy), ["of the copy"]);
    one.isOffline = false;
    assert.equal(await second.sync(), "synced");
    for (const tab of [first, second]) {
      await tab.has([...all, "of the copy"]);
      assert.deepEqual(await tab.get("changes"), [`${copied} ${await tab.get("client()")}`]);
    }
    await second.append(["three"]);
    await first.has([...all, "of the copy", "three"]);
    assert.equal(await first.sync(), "synced");
    assert.deepEqual((await phone()).toSorted(), [...all, "of the copy", "three"].toSorted());
  });
});
